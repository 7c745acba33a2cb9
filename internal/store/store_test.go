package store_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/internal/store"
)

const hello = "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"

func open(t *testing.T) *store.Store {
	t.Helper()
	s, err := store.Open(t.TempDir())
	require.NoError(t, err)
	return s
}

func TestPutNamesByContent(t *testing.T) {
	s := open(t)
	d, n, err := s.Put(t.Context(), strings.NewReader("hello"))
	require.NoError(t, err)
	require.Equal(t, store.Digest(hello), d)
	require.EqualValues(t, 5, n)
	require.True(t, s.Has(d))

	got, err := s.ReadAll(d, 5)
	require.NoError(t, err)
	require.Equal(t, "hello", string(got))

	_, err = s.ReadAll(d, 4)
	require.ErrorContains(t, err, "larger than 4 bytes")
}

func TestMissingObject(t *testing.T) {
	s := open(t)
	_, err := s.Open(hello)
	require.ErrorIs(t, err, store.ErrNotFound)
	require.False(t, s.Has(hello))
	require.False(t, s.Has(""))
}

func TestPutVerifiedKeepsNothingElse(t *testing.T) {
	s := open(t)
	_, err := s.PutVerified(t.Context(), strings.NewReader("other"), hello)
	var mismatch *store.MismatchError
	require.ErrorAs(t, err, &mismatch)
	require.Equal(t, store.Digest(hello), mismatch.Want)
	require.Equal(t, store.Of([]byte("other")), mismatch.Got)
	require.False(t, s.Has(hello))
	require.False(t, s.Has(mismatch.Got))
	requireNoLeftovers(t, s)
}

func TestCorruptObjectIsNoticedAndReplaced(t *testing.T) {
	s := open(t)
	d, err := s.PutBytes(t.Context(), []byte("hello"))
	require.NoError(t, err)
	path, err := s.Path(d)
	require.NoError(t, err)
	require.NoError(t, os.Chmod(path, 0o644))
	require.NoError(t, os.WriteFile(path, []byte("hellO"), 0o644))

	var corrupt *store.CorruptError
	_, err = s.ReadAll(d, 100)
	require.ErrorAs(t, err, &corrupt)
	require.Equal(t, path, corrupt.Path)
	_, err = s.Path(d)
	require.ErrorAs(t, err, &corrupt)
	dst := filepath.Join(t.TempDir(), "copy")
	require.ErrorAs(t, s.Link(d, dst), &corrupt)
	require.ErrorAs(t, s.CopyTo(d, dst), &corrupt)
	require.NoFileExists(t, dst)

	_, err = s.PutBytes(t.Context(), []byte("hello"))
	require.NoError(t, err)
	require.NoError(t, s.Link(d, dst))
	got, err := os.ReadFile(dst)
	require.NoError(t, err)
	require.Equal(t, "hello", string(got))
}

type failingReader struct{ after io.Reader }

var errBroken = errors.New("the line broke")

func (f failingReader) Read(p []byte) (int, error) {
	n, err := f.after.Read(p)
	if errors.Is(err, io.EOF) {
		return n, errBroken
	}
	return n, err
}

func TestInterruptedPutLeavesNothing(t *testing.T) {
	s := open(t)
	_, _, err := s.Put(t.Context(), failingReader{strings.NewReader("hello")})
	require.ErrorIs(t, err, errBroken)
	require.False(t, s.Has(hello))

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, _, err = s.Put(ctx, strings.NewReader("hello"))
	require.ErrorIs(t, err, context.Canceled)
	requireNoLeftovers(t, s)
}

func requireNoLeftovers(t *testing.T, s *store.Store) {
	t.Helper()
	left, err := os.ReadDir(filepath.Join(s.Dir(), "tmp"))
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestWhatDeadProcessesLeaveIsRemoved(t *testing.T) {
	if dir := os.Getenv("OHPC_TEST_STORE"); dir != "" { // the process that dies
		s, err := store.Open(dir)
		require.NoError(t, err)
		tmp, err := s.Temp("work-")
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(tmp, "file"), []byte("half-made"), 0o600))
		fmt.Println("made")
		select {}
	}
	s := open(t)
	mine, err := s.Temp("work-")
	require.NoError(t, err)

	cmd := exec.Command(os.Args[0], "-test.run", "^TestWhatDeadProcessesLeaveIsRemoved$")
	cmd.Env = append(os.Environ(), "OHPC_TEST_STORE="+s.Dir())
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	_, err = out.Read(make([]byte, 5))
	require.NoError(t, err)
	left := func() int {
		_, err := store.Open(s.Dir())
		require.NoError(t, err)
		entries, err := os.ReadDir(filepath.Join(s.Dir(), "tmp"))
		require.NoError(t, err)
		return len(entries)
	}
	require.Equal(t, 2, left(), "both processes live")
	require.NoError(t, cmd.Process.Kill())
	_ = cmd.Wait()
	require.Equal(t, 1, left())
	require.DirExists(t, mine)
}

func TestConcurrentPutsOfOneObject(t *testing.T) {
	s := open(t)
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			d, err := s.PutBytes(t.Context(), []byte("hello"))
			if err != nil || d != hello {
				t.Errorf("put: %v %v", d, err)
			}
		})
	}
	wg.Wait()
	_, err := s.Path(hello)
	require.NoError(t, err)
}

func TestParseDigest(t *testing.T) {
	for name, tc := range map[string]struct {
		in string
		ok bool
	}{
		"full":       {hello, true},
		"bare":       {strings.TrimPrefix(hello, "sha256:"), true},
		"upper case": {strings.ToUpper(strings.TrimPrefix(hello, "sha256:")), false},
		"short":      {hello[:20], false},
		"not hex":    {"sha256:" + strings.Repeat("z", 64), false},
		"other":      {"sha512:" + strings.Repeat("a", 64), false},
		"path":       {"sha256:../../" + strings.Repeat("a", 58), false},
		"empty":      {"", false},
	} {
		t.Run(name, func(t *testing.T) {
			d, err := store.ParseDigest(tc.in)
			if !tc.ok {
				require.Error(t, err)
				return
			}
			require.NoError(t, err)
			require.Equal(t, store.Digest(hello), d)
		})
	}
}

func TestRecords(t *testing.T) {
	s := open(t)
	type result struct{ Packages []string }
	want := result{Packages: []string{"a", "b <&>"}}
	require.NoError(t, s.PutRecord("jobs", "any/../name", want))
	var got result
	require.NoError(t, s.Record("jobs", "any/../name", &got))
	require.Equal(t, want, got)
	require.ErrorIs(t, s.Record("jobs", "another", &got), store.ErrNotFound)

	files, err := filepath.Glob(filepath.Join(s.Dir(), "records/jobs/*.json"))
	require.NoError(t, err)
	require.Len(t, files, 1)
	doc, err := os.ReadFile(files[0])
	require.NoError(t, err)
	require.NoError(t, os.Chmod(files[0], 0o644))
	for _, damaged := range []string{strings.Replace(string(doc), `"a"`, `"c"`, 1), string(doc[:len(doc)/2]), ""} {
		require.NoError(t, os.WriteFile(files[0], []byte(damaged), 0o644))
		var corrupt *store.CorruptError
		require.ErrorAs(t, s.Record("jobs", "any/../name", &got), &corrupt)
	}
	require.NoError(t, s.PutRecord("jobs", "any/../name", want))
	require.NoError(t, s.Record("jobs", "any/../name", &got))
}

// TestWhatIsWrittenToAfterItWasVerified is noticed, though the same file was right
// before.
func TestWhatIsWrittenToAfterItWasVerified(t *testing.T) {
	s, err := store.Open(t.TempDir())
	require.NoError(t, err)
	d, err := s.PutBytes(t.Context(), []byte("right"))
	require.NoError(t, err)
	for range 2 {
		_, err = s.Path(d)
		require.NoError(t, err)
	}
	path, err := s.Path(d)
	require.NoError(t, err)
	require.NoError(t, os.Chmod(path, 0o644))
	require.NoError(t, os.WriteFile(path, []byte("wrong"), 0o644)) // as long as it was
	_, err = s.Path(d)
	var corrupt *store.CorruptError
	require.ErrorAs(t, err, &corrupt)
}
