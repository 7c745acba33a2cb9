package remote_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
	"github.com/stretchr/testify/require"
	"gocloud.dev/blob"
	_ "gocloud.dev/blob/fileblob"
	_ "gocloud.dev/blob/s3blob"

	"github.com/ohpc-build/ohpc-build/repo/layout"
	"github.com/ohpc-build/ohpc-build/repo/remote"
	"github.com/ohpc-build/ohpc-build/repo/snapshot"
)

var pointer = layout.Pointer{Release: "3", Channel: layout.Release, Target: "EL_9"}

// tree is a published tree, as far as a copy looks at it.
type tree struct {
	testing.TB
	root string
}

func newTree(t testing.TB) tree { return tree{t, t.TempDir()} }

func (t tree) write(name, text string) {
	t.Helper()
	path := filepath.Join(t.root, filepath.FromSlash(name))
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
}

// publish makes a snapshot that holds these packages, by name and content, and
// moves the channel to it.
func (t tree) publish(packages map[string]string) (id string) {
	t.Helper()
	return t.publishIn(pointer, packages)
}

func (t tree) publishIn(pointer layout.Pointer, packages map[string]string) (id string) {
	t.Helper()
	m := snapshot.Manifest{Version: snapshot.ManifestVersion, Release: "3", Target: pointer.Target, Architectures: []string{"x86_64"}, Packages: len(packages)}
	m.Contents = fmt.Sprint(packages) // fmt prints maps in order
	b, id, err := m.Encode()
	require.NoError(t, err)
	dir := layout.SnapshotDir(pointer.Target, id) + "/"
	t.write(dir+snapshot.ManifestFile, string(b))
	for name, content := range packages {
		t.write(dir+"x86_64/"+name, content)
	}
	t.write(dir+"repodata/"+id+"-primary.xml.gz", "primary of "+id)
	t.write(dir+"repodata/repomd.xml", "repomd of "+id)
	t.write(dir+"repodata/repomd.xml.asc", "signature of "+id)
	t.write(pointer.RepoFile(), "[OpenHPC]\n")
	base, err := layout.ParseURL("https://repos.example.org")
	require.NoError(t, err)
	t.write(pointer.Mirrorlist(), string(layout.MirrorlistFile(base, pointer.Target, id)))
	return id
}

// s3 is storage that speaks the protocol. The hook sees each request that
// changes something, when it is done.
type s3 struct {
	server *httptest.Server
	mu     sync.Mutex
	hook   func(r *http.Request)
}

func newS3(t testing.TB) *s3 {
	t.Helper()
	backend := s3mem.New()
	require.NoError(t, backend.CreateBucket("repos"))
	handler := gofakes3.New(backend).Server()
	s := &s3{}
	s.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		handler.ServeHTTP(w, r)
		if r.Method == http.MethodGet || r.Method == http.MethodHead {
			return
		}
		s.mu.Lock() // two hooks at once would see each other's half
		defer s.mu.Unlock()
		if s.hook != nil {
			s.hook(r)
		}
	}))
	t.Cleanup(s.server.Close)
	return s
}

func (s *s3) after(hook func(*http.Request)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hook = hook
}

func (s *s3) open(t testing.TB) *blob.Bucket {
	t.Helper()
	return openBucket(t, "s3://repos?"+url.Values{
		"endpoint": {s.server.URL}, "region": {"us-east-1"}, "use_path_style": {"true"}, "disable_https": {"true"},
	}.Encode())
}

func openBucket(t testing.TB, address string) *blob.Bucket {
	t.Helper()
	bucket, err := blob.OpenBucket(t.Context(), address)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, bucket.Close()) })
	return bucket
}

func copyOf(t testing.TB, tr tree, bucket *blob.Bucket, opt remote.Options) *remote.Copy {
	t.Helper()
	c, err := remote.New(tr.root, bucket, opt)
	require.NoError(t, err)
	return c
}

func read(t testing.TB, bucket *blob.Bucket, key string) string {
	t.Helper()
	b, err := bucket.ReadAll(t.Context(), key)
	require.NoError(t, err, key)
	return string(b)
}

func credentials(t *testing.T) {
	t.Helper()
	for name, value := range map[string]string{
		"AWS_ACCESS_KEY_ID": "tests", "AWS_SECRET_ACCESS_KEY": "tests", "AWS_CONFIG_FILE": "/nonexistent",
		"AWS_SHARED_CREDENTIALS_FILE": "/nonexistent", "AWS_EC2_METADATA_DISABLED": "true",
	} {
		t.Setenv(name, value)
	}
}

// TestCopy is what every kind of storage must do.
func TestCopy(t *testing.T) {
	credentials(t)
	for name, open := range map[string]func(*testing.T) *blob.Bucket{
		"s3":     func(t *testing.T) *blob.Bucket { return newS3(t).open(t) },
		"folder": func(t *testing.T) *blob.Bucket { return openBucket(t, "file://"+t.TempDir()+"?no_tmp_dir=true") },
	} {
		t.Run(name, func(t *testing.T) {
			bucket, tr := open(t), newTree(t)
			c := copyOf(t, tr, bucket, remote.Options{})
			first := tr.publish(map[string]string{"a-1.rpm": "one", "same.rpm": "AAAA", "gone.rpm": "x"})
			sum, err := c.Push(t.Context(), pointer)
			require.NoError(t, err)
			require.Equal(t, 7, sum.Uploaded)
			require.Equal(t, []layout.Pointer{pointer}, sum.Moved)
			require.NoError(t, c.Verify(t.Context(), pointer))
			require.Equal(t, "https://repos.example.org/snapshots/EL_9/"+first+"/\n", read(t, bucket, "OpenHPC/3/EL_9.mirrorlist"))
			require.Equal(t, "repomd of "+first, read(t, bucket, "OpenHPC/3/EL_9/repodata/repomd.xml"))
			require.Equal(t, "one", read(t, bucket, "snapshots/EL_9/"+first+"/x86_64/a-1.rpm"))

			sum, err = c.Push(t.Context(), pointer)
			require.NoError(t, err)
			require.Equal(t, remote.Summary{}, sum, "what is there is not sent again")

			// A package with the same name and size, as after a change of keys.
			second := tr.publish(map[string]string{"a-2.rpm": "two", "same.rpm": "BBBB"})
			sum, err = c.Push(t.Context(), pointer)
			require.NoError(t, err)
			require.Equal(t, 6, sum.Uploaded)
			require.Equal(t, "BBBB", read(t, bucket, "OpenHPC/3/EL_9/x86_64/same.rpm"))
			require.Equal(t, "AAAA", read(t, bucket, "snapshots/EL_9/"+first+"/x86_64/same.rpm"), "a snapshot does not change")
			require.NoError(t, c.Verify(t.Context(), pointer))
			require.Equal(t, "x", read(t, bucket, "OpenHPC/3/EL_9/x86_64/gone.rpm"), "readers of a plain baseurl may still want it")

			// Nothing goes before its time, nor while the tree has it.
			sum, err = c.Prune(t.Context(), time.Hour)
			require.NoError(t, err)
			require.Zero(t, sum.Removed)
			require.NoError(t, os.RemoveAll(filepath.Join(tr.root, "snapshots", "EL_9", first)))
			sum, err = c.Prune(t.Context(), -time.Hour)
			require.NoError(t, err)
			require.Equal(t, 7+3, sum.Removed, "the old snapshot; two packages and old metadata below the channel's name")
			require.NoError(t, c.Verify(t.Context(), pointer))
			require.Contains(t, read(t, bucket, "OpenHPC/3/EL_9.mirrorlist"), second)
			for _, key := range []string{"OpenHPC/3/EL_9/x86_64/gone.rpm", "snapshots/EL_9/" + first + "/snapshot.json"} {
				there, err := bucket.Exists(t.Context(), key)
				require.NoError(t, err)
				require.False(t, there, key)
			}

			// What was changed by others is found.
			require.NoError(t, bucket.WriteAll(t.Context(), "snapshots/EL_9/"+second+"/x86_64/same.rpm", []byte("CCCC"), nil))
			require.ErrorContains(t, c.Verify(t.Context(), pointer), "x86_64/same.rpm is not what")
		})
	}
}

func TestOwner(t *testing.T) {
	bucket := openBucket(t, "file://"+t.TempDir()+"?no_tmp_dir=true")
	one, other := newTree(t), newTree(t)
	one.publish(map[string]string{"a.rpm": "a"})
	other.publish(map[string]string{"b.rpm": "b"})
	_, err := copyOf(t, one, bucket, remote.Options{}).Push(t.Context(), pointer)
	require.NoError(t, err)
	_, err = copyOf(t, other, bucket, remote.Options{}).Push(t.Context(), pointer)
	var owned *remote.OwnerError
	require.ErrorAs(t, err, &owned)
	_, err = copyOf(t, other, bucket, remote.Options{}).Prune(t.Context(), 0)
	require.ErrorAs(t, err, &owned)
	_, err = copyOf(t, other, bucket, remote.Options{TakeOver: true}).Push(t.Context(), pointer)
	require.NoError(t, err)
	_, err = copyOf(t, one, bucket, remote.Options{}).Push(t.Context(), pointer)
	require.ErrorAs(t, err, &owned)
	require.NoError(t, bucket.WriteAll(t.Context(), "owner.json", []byte("<html>"), nil))
	_, err = copyOf(t, other, bucket, remote.Options{TakeOver: true}).Push(t.Context(), pointer)
	require.ErrorContains(t, err, "is not ours")
}

// TestReadersFindCompleteSnapshots ends the writer after each of its requests in
// turn, and looks with a reader's eyes after every single one.
func TestReadersFindCompleteSnapshots(t *testing.T) {
	credentials(t)
	storage, tr := newS3(t), newTree(t)
	bucket := storage.open(t)
	contents := map[string]map[string]string{} // by id: the packages that belong there
	publish := func(n int) {
		packages := map[string]string{fmt.Sprintf("a-%d.rpm", n): fmt.Sprint("a", n), "b.rpm": fmt.Sprint("b", n)}
		contents[tr.publish(packages)] = packages
	}
	look := func() error {
		b, err := bucket.ReadAll(t.Context(), pointer.Mirrorlist())
		if err != nil {
			if n := len(contents); n == 1 {
				return nil // never published yet
			}
			return err
		}
		ids, err := layout.ParseMirrorlist(b, "EL_9")
		if err != nil {
			return err
		}
		id := ids[0]
		want := map[string]string{"repodata/repomd.xml": "repomd of " + id, "repodata/repomd.xml.asc": "signature of " + id}
		for name, content := range contents[id] {
			want["x86_64/"+name] = content
		}
		for name, content := range want {
			got, err := bucket.ReadAll(t.Context(), layout.SnapshotDir("EL_9", id)+"/"+name)
			if err != nil {
				return err
			}
			if string(got) != content {
				return fmt.Errorf("%s holds %q", name, got)
			}
		}
		return nil
	}
	publish(0)
	_, err := copyOf(t, tr, bucket, remote.Options{}).Push(t.Context(), pointer)
	require.NoError(t, err)
	ended := 0
	for n := 1; ; n++ {
		publish(n)
		ctx, cancel := context.WithCancel(t.Context())
		requests := 0
		var seen error
		storage.after(func(*http.Request) {
			if requests++; requests == n {
				cancel()
			}
			seen = errors.Join(seen, look())
		})
		_, err := copyOf(t, tr, bucket, remote.Options{Workers: 2}).Push(ctx, pointer)
		cancel()
		storage.after(nil)
		require.NoError(t, seen, "after request %d", requests)
		if err == nil {
			break // there are no more requests to end after
		}
		require.ErrorIs(t, err, context.Canceled)
		ended++
		require.NoError(t, look())
	}
	require.Greater(t, ended, 8)
	require.NoError(t, copyOf(t, tr, bucket, remote.Options{}).Verify(t.Context(), pointer), "what was interrupted was completed")
}

// TestOrder wants all snapshots there before the first channel moves, and the
// definitions, which name the mirrorlists, after those.
func TestOrder(t *testing.T) {
	credentials(t)
	storage, tr := newS3(t), newTree(t)
	updates := layout.Pointer{Release: "3", Channel: layout.Updates, Target: "EL_9"}
	tr.publish(map[string]string{"a.rpm": "a"})
	tr.publishIn(updates, map[string]string{"b.rpm": "b"})
	var first, last [4]int // requests of each kind
	n := 0
	storage.after(func(r *http.Request) {
		n++
		kind := 2 // what a plain baseurl needs
		switch name := r.URL.Path; {
		case strings.Contains(name, "/snapshots/"):
			kind = 0
		case strings.HasSuffix(name, ".mirrorlist"):
			kind = 1
		case strings.HasSuffix(name, ".repo"):
			kind = 3
		case !strings.Contains(name, "/EL_9/"):
			return // the owner, the status
		}
		if first[kind] == 0 {
			first[kind] = n
		}
		last[kind] = n
	})
	_, err := copyOf(t, tr, storage.open(t), remote.Options{}).Push(t.Context(), pointer, updates)
	require.NoError(t, err)
	require.Positive(t, first[0])
	for kind := 1; kind < len(first); kind++ {
		require.Greater(t, first[kind], last[kind-1], "kind %d", kind)
	}
}

// TestPruneEnded has a channel in the storage that the tree has ended.
func TestPruneEnded(t *testing.T) {
	bucket, tr := openBucket(t, "file://"+t.TempDir()+"?no_tmp_dir=true"), newTree(t)
	c := copyOf(t, tr, bucket, remote.Options{})
	pull := layout.Pointer{Release: "3", Channel: "pr/7", Target: "EL_9"}
	neighbour := layout.Pointer{Release: "3", Channel: "pr/7", Target: "EL_9.1"} // its name only begins like the other's
	tr.publish(map[string]string{"a.rpm": "a"})
	id := tr.publishIn(pull, map[string]string{"b.rpm": "b"})
	tr.publishIn(neighbour, map[string]string{"c.rpm": "c"})
	_, err := c.Push(t.Context(), pointer, pull, neighbour)
	require.NoError(t, err)
	sum, err := c.Prune(t.Context(), -time.Hour)
	require.NoError(t, err)
	require.Zero(t, sum.Removed, "the tree has it all")

	for _, name := range []string{pull.RepoFile(), pull.Mirrorlist(), layout.SnapshotDir("EL_9", id)} {
		require.NoError(t, os.RemoveAll(filepath.Join(tr.root, filepath.FromSlash(name))))
	}
	sum, err = c.Prune(t.Context(), time.Hour)
	require.NoError(t, err)
	require.Zero(t, sum.Removed, "clients may have been told of it")
	sum, err = c.Prune(t.Context(), -time.Hour)
	require.NoError(t, err)
	require.Equal(t, 5+5+2, sum.Removed, "the snapshot, what lies below the channel's name, mirrorlist and definition")
	for it := bucket.List(nil); ; {
		o, err := it.Next(t.Context())
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		require.NotContains(t, o.Key, "pr/7/EL_9/")
		require.NotContains(t, o.Key, "pr/7/EL_9.mirrorlist")
		require.NotContains(t, o.Key, id)
	}
	require.NoError(t, c.Verify(t.Context(), pointer, neighbour))
}

// TestSilentStorage has a server that takes requests and never answers, from the
// first one on or later.
func TestSilentStorage(t *testing.T) {
	credentials(t)
	end := make(chan struct{})
	backend := s3mem.New()
	require.NoError(t, backend.CreateBucket("repos"))
	handler := gofakes3.New(backend).Server()
	var silent atomic.Pointer[func(*http.Request) bool]
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if (*silent.Load())(r) {
			select {
			case <-end:
			case <-r.Context().Done():
			}
			return
		}
		handler.ServeHTTP(w, r)
	}))
	defer server.Close()
	defer close(end)
	for what, test := range map[string]func(*http.Request) bool{
		"everything": func(*http.Request) bool { return true },
		"packages":   func(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, ".rpm") },
		"copies":     func(r *http.Request) bool { return r.Header.Get("X-Amz-Copy-Source") != "" },
		"pointers":   func(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, ".mirrorlist") },
	} {
		t.Run(what, func(t *testing.T) {
			silent.Store(&test)
			tr := newTree(t)
			tr.publish(map[string]string{"a.rpm": what})
			storage := &s3{server: server}
			_, err := copyOf(t, tr, storage.open(t), remote.Options{Patience: 300 * time.Millisecond, TakeOver: true}).Push(t.Context(), pointer)
			require.ErrorContains(t, err, "the storage does not answer (waited ")
		})
	}
}

func TestErrors(t *testing.T) {
	tr := newTree(t)
	bucket := openBucket(t, "file://"+t.TempDir()+"?no_tmp_dir=true")
	c := copyOf(t, tr, bucket, remote.Options{})
	_, err := c.Push(t.Context(), pointer)
	require.ErrorIs(t, err, os.ErrNotExist)
	id := tr.publish(map[string]string{"a.rpm": "a"})
	require.NoError(t, os.Symlink("/etc/hostname", filepath.Join(tr.root, "snapshots", "EL_9", id, "x86_64", "b.rpm")))
	_, err = c.Push(t.Context(), pointer)
	require.ErrorContains(t, err, "is no regular file")
	tr.write(pointer.Mirrorlist(), "https://repos.example.org/snapshots/EL_9/"+strings.Repeat("0", 32)+"/\n")
	_, err = c.Push(t.Context(), pointer)
	require.ErrorIs(t, err, os.ErrNotExist)
	tr.write(pointer.Mirrorlist(), "https://elsewhere.example.org/\n")
	_, err = c.Push(t.Context(), pointer)
	require.ErrorContains(t, err, "names")
}
