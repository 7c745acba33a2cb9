package verify

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/ohpc-build/ohpc-build/builder"
	"github.com/ohpc-build/ohpc-build/builder/buildroot"
	"github.com/ohpc-build/ohpc-build/internal/store"
	"github.com/ohpc-build/ohpc-build/repo/rpm/rpmtest"
)

// second is a builder that has built already.
type second struct {
	packages []buildroot.Package
	job      builder.Job
	c        builder.Conditions
	exists   bool // the folder that the conditions name
	began    time.Time
}

func (s *second) BuildUnder(_ context.Context, job builder.Job, c builder.Conditions, _ io.Writer) (*builder.Result, error) {
	s.job, s.c, s.began = job, c, time.Now()
	fi, err := os.Stat(c.Dir)
	s.exists = err == nil && fi.IsDir()
	return &builder.Result{Packages: s.packages}, nil
}

func newStore(t *testing.T) *store.Store {
	t.Helper()
	st, err := store.Open(t.TempDir())
	require.NoError(t, err)
	return st
}

func keep(t *testing.T, st *store.Store, file string, content []byte) buildroot.Package {
	t.Helper()
	d, err := st.PutBytes(t.Context(), content)
	require.NoError(t, err)
	return buildroot.Package{File: file, Digest: d}
}

func TestTwoBuilds(t *testing.T) {
	st := newStore(t)
	simple := rpmtest.Simple("a", "1", "1", "x86_64")
	same := keep(t, st, "same-1-1.x86_64.rpm", simple.Bytes())
	gone := keep(t, st, "gone-1-1.x86_64.rpm", simple.Bytes())
	come := keep(t, st, "new-1-1.x86_64.rpm", simple.Bytes())
	before := keep(t, st, "a-1-1.x86_64.rpm", simple.Bytes())
	after := keep(t, st, "a-1-1.x86_64.rpm", simple.With(rpmtest.Text(1007, "elsewhere")).Bytes())
	// Signed, and nothing else.
	signed := simple
	signed.Signature = []rpmtest.Entry{rpmtest.Binary(268, []byte("signature"))}
	plain, withSignature := keep(t, st, "s-1-1.x86_64.rpm", simple.Bytes()), keep(t, st, "s-1-1.x86_64.rpm", signed.Bytes())
	require.NotEqual(t, plain.Digest, withSignature.Digest)

	b := &second{packages: []buildroot.Package{same, after, come, withSignature}}
	begin := time.Now()
	job := builder.Job{ID: "a", Limits: builder.Limits{Cores: 4, Time: time.Minute, Memory: 1 << 20, Disk: 1 << 20}}
	o, err := New(st, b).Verify(t.Context(), job, &builder.Result{Packages: []buildroot.Package{same, gone, before, plain}}, io.Discard)
	require.NoError(t, err)
	require.GreaterOrEqual(t, b.began.Sub(begin), time.Second, "a build of less than a second has another time of day")
	require.False(t, o.Same())
	var different []string
	for _, p := range o.Different() {
		different = append(different, p.File)
	}
	require.Equal(t, []string{gone.File, before.File, come.File}, different)
	require.Equal(t, `gone-1-1.x86_64.rpm
  only the first build made it
a-1-1.x86_64.rpm
  tag BuildHost: build.example | elsewhere
new-1-1.x86_64.rpm
  only the second build made it`, o.Table(-1))
	require.Equal(t, "gone-1-1.x86_64.rpm\n  only the first build made it\na-1-1.x86_64.rpm\nnew-1-1.x86_64.rpm\n… and 2 differences more", o.Table(1))
	require.Contains(t, o.Summary(), "2 packages the same with another time, time zone, host name, user, home, environment, number of jobs")
	var text bytes.Buffer
	_, err = o.WriteTo(&text)
	require.NoError(t, err)
	require.Contains(t, text.String(), fmt.Sprintf("number of jobs: at most %d, %d", runtime.NumCPU(), runtime.NumCPU()+1))
	require.Contains(t, text.String(), "a-1-1.x86_64.rpm: differs")

	require.Equal(t, runtime.NumCPU()+1, b.c.Jobs)
	require.Equal(t, 2*time.Minute, b.job.Limits.Time)
	if b.exists {
		require.EqualValues(t, 2<<20, b.job.Limits.Memory, "files in memory are added to what the build may take")
		require.NoDirExists(t, b.c.Dir)
	}
}

// TestOtherNumberOfProcesses: nobody knows how many the first build was given, but
// they were never more than the host has cores.
func TestOtherNumberOfProcesses(t *testing.T) {
	c, told, err := New(newStore(t), nil).others(builder.Job{Limits: builder.Limits{Cores: 1, Disk: 1}})
	require.NoError(t, err)
	os.RemoveAll(c.Dir)
	require.Greater(t, c.Jobs, runtime.NumCPU())
	require.NotEmpty(t, told)
}

func TestWhyFilesAreNotInMemory(t *testing.T) {
	v := New(newStore(t), nil)
	v.memory = filepath.Join(t.TempDir(), "missing")
	c, told, err := v.others(builder.Job{})
	require.NoError(t, err)
	require.Empty(t, c.Dir)
	require.Contains(t, told[len(told)-1].String(), "folder order: not varied, "+v.memory+" is no file system in memory")

	v = New(newStore(t), nil)
	var fs unix.Statfs_t
	if unix.Statfs(v.memory, &fs) != nil || fs.Type != unix.TMPFS_MAGIC || fs.Flags&unix.ST_NOEXEC != 0 {
		t.Skip(v.memory + " cannot be used here")
	}
	reason, err := v.inMemory(builder.Job{Limits: builder.Limits{Disk: 1 << 60}})
	require.NoError(t, err)
	require.Contains(t, reason, "of memory can be used for that")
	reason, err = v.inMemory(builder.Job{Limits: builder.Limits{Disk: 1 << 10}})
	require.NoError(t, err)
	require.Empty(t, reason)
}

func TestFoldersOfTheDeadAreRemoved(t *testing.T) {
	v := New(newStore(t), nil)
	v.memory = t.TempDir()
	cmd := exec.Command("true")
	require.NoError(t, cmd.Run())
	dead := filepath.Join(v.memory, fmt.Sprintf("%s%d-1", folderPrefix, cmd.Process.Pid))
	mine := filepath.Join(v.memory, fmt.Sprintf("%s%d-1", folderPrefix, os.Getpid()))
	other := filepath.Join(v.memory, folderPrefix+"other")
	for _, dir := range []string{dead, mine, other} {
		require.NoError(t, os.Mkdir(dir, 0o700))
	}
	v.sweep()
	require.NoDirExists(t, dead)
	require.DirExists(t, mine)
	require.DirExists(t, other)
}

// TestDiffoscope lets a script stand for diffoscope, which tests do not need to have.
func TestDiffoscope(t *testing.T) {
	bin := filepath.Join(t.TempDir(), "bin")
	require.NoError(t, os.Mkdir(bin, 0o755))
	for dir := bin; dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
		require.NoError(t, os.Chmod(dir, 0o755))
	}
	script := "#!/bin/sh\nid -u\nfor last; do :; done\nhead -c 4 \"$last\" | od -An -tx1\nexit 1\n"
	require.NoError(t, os.WriteFile(filepath.Join(bin, "diffoscope"), []byte(script), 0o755))
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))

	st := newStore(t)
	a := keep(t, st, "a-1-1.x86_64.rpm", rpmtest.Simple("a", "1", "1", "x86_64").Bytes())
	b := keep(t, st, "a-1-1.x86_64.rpm", rpmtest.Simple("a", "2", "1", "x86_64").Bytes())
	v := New(st, nil)
	o, err := v.Compare(t.Context(), []buildroot.Package{a}, []buildroot.Package{b})
	require.NoError(t, err)
	var out bytes.Buffer
	require.NoError(t, v.Diffoscope(t.Context(), o, &out))
	require.Contains(t, out.String(), "ed ab ee db", "it was shown the package")
	if os.Geteuid() == 0 {
		require.True(t, strings.HasPrefix(out.String(), "65534\n"), "not as root: %s", out.String())
	}

	require.NoError(t, os.WriteFile(filepath.Join(bin, "diffoscope"), []byte("#!/bin/sh\nexit 2\n"), 0o755))
	require.ErrorContains(t, v.Diffoscope(t.Context(), o, io.Discard), "diffoscope on two builds of a-1-1.x86_64.rpm: exit status 2")

	require.NoError(t, os.WriteFile(filepath.Join(bin, "diffoscope"), []byte("#!/bin/sh\nsleep 3600 & wait\n"), 0o755))
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	begin := time.Now()
	require.ErrorIs(t, v.Diffoscope(ctx, o, &out), context.DeadlineExceeded)
	require.Less(t, time.Since(begin), 10*time.Second)
}
