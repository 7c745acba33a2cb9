package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/ohpc-build/ohpc-build/repo/layout"
	"github.com/ohpc-build/ohpc-build/repo/lock"
	"github.com/ohpc-build/ohpc-build/repo/publish"
	"github.com/ohpc-build/ohpc-build/repo/publish/publishtest"
	"github.com/ohpc-build/ohpc-build/repo/remote/order"
	"github.com/ohpc-build/ohpc-build/repo/rpm/rpmtest"
	"github.com/ohpc-build/ohpc-build/repo/snapshot"
)

// tried is an output folder in which snapshots are made, and a state folder with
// the key that signs them.
type tried struct {
	*publishtest.Fixture
	out, state string
	here       string // before commands run in folders of their own
}

func newTree(t *testing.T) *tried {
	t.Helper()
	key, err := publishtest.OurKey()
	require.NoError(t, err)
	out, state := t.TempDir(), t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(state, "keys"), 0o700))
	require.NoError(t, key.Save(filepath.Join(state, "keys", "signing.asc")))
	here, err := os.Getwd()
	require.NoError(t, err)
	return &tried{publishtest.SetUpIn(t, out, key), out, state, here}
}

// repo runs a subcommand of repo on the tree.
func (tr *tried) repo(t *testing.T, args ...string) (status int, stdout, message string) {
	t.Helper()
	return run(t, append([]string{"repo", "--state", tr.state, "--out", tr.out}, args...)...)
}

// must runs a subcommand that is right.
func (tr *tried) must(t *testing.T, args ...string) (stdout string) {
	t.Helper()
	status, stdout, message := tr.repo(t, args...)
	require.Equal(t, exitOK, status, message)
	return stdout
}

// made is a snapshot of a target with one package in that version.
func (tr *tried) made(target, version string) snapshot.Snapshot {
	tr.Helper()
	g := *tr.Fixture
	g.Spec.Target = target
	return g.MustMake(g.Add(rpmtest.Simple("lib", version, "1", "x86_64"), "lib"), g.Add(rpmtest.Simple("lib", version, "1", "aarch64"), "lib"))
}

// released is what the release's mirrorlist names first.
func (tr *tried) released(t *testing.T, target string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(tr.Spec.Root, layout.Pointer{Release: "3.2", Channel: layout.Release, Target: target}.Mirrorlist()))
	require.NoError(t, err)
	ids, err := layout.ParseMirrorlist(b, target)
	require.NoError(t, err)
	return ids[0]
}

// TestChannels takes two targets through the channels, as people do.
func TestChannels(t *testing.T) {
	tr := newTree(t)
	old, other := tr.made("EL_9", "1"), tr.made("Leap_15", "1")
	next, otherNext := tr.made("EL_9", "2"), tr.made("Leap_15", "2")

	out := tr.must(t, "publish", old.ID[:8], "Leap_15/"+other.ID[:4], "--channel", "staging")
	require.Equal(t, "EL_9 3.2 staging: "+old.ID+", 2 packages (before: nothing)\n"+
		"Leap_15 3.2 staging: "+other.ID+", 2 packages (before: nothing)\n", out)
	require.Contains(t, tr.must(t, "publish", old.ID[:8], "--channel", "staging"), "(as before)")

	// One target, then the others: what is there already stays.
	require.NotContains(t, tr.must(t, "promote", "staging", "release", "--target", "EL_9"), "Leap_15")
	require.NoFileExists(t, filepath.Join(tr.Spec.Root, "OpenHPC/3.2/Leap_15.mirrorlist"))
	require.FileExists(t, filepath.Join(tr.Spec.Root, "OpenHPC/3.2/updates/EL_9.mirrorlist"), "clients of a release look for updates")
	out = tr.must(t, "promote", "staging", "release", "--release", "3.2")
	require.Contains(t, out, "EL_9 3.2 release: "+old.ID+", 2 packages (as before)")
	require.Contains(t, out, "Leap_15 3.2 release: "+other.ID+", 2 packages (before: nothing)")
	tr.must(t, "publish", next.ID, otherNext.ID)
	require.Equal(t, next.ID, tr.released(t, "EL_9"))

	// Older packages are refused, all targets or none.
	status, _, message := tr.repo(t, "promote", "staging", "release")
	require.Equal(t, exitFailed, status)
	require.Contains(t, message, "not published in EL_9 3.2 release; downgraded: lib.aarch64 2-1 → 1-1, lib.x86_64 2-1 → 1-1; if that is meant, give --allow-downgrade")
	require.Contains(t, message, "not published in Leap_15 3.2 release")
	require.Equal(t, next.ID, tr.released(t, "EL_9"))
	tr.must(t, "promote", "staging", "release", "--allow-downgrade", "--target", "EL_9")
	require.Equal(t, old.ID, tr.released(t, "EL_9"))
	require.Equal(t, otherNext.ID, tr.released(t, "Leap_15"))

	// And back, by one step or to a snapshot.
	require.Equal(t, "EL_9 3.2 release: "+next.ID+", 2 packages (before: "+old.ID+")\n"+
		"Leap_15 3.2 release: "+other.ID+", 2 packages (before: "+otherNext.ID+")\n", tr.must(t, "rollback", "release"))
	tr.must(t, "rollback", "release", "--target", "Leap_15", "--to", otherNext.ID[:6])
	require.Equal(t, otherNext.ID, tr.released(t, "Leap_15"))

	require.Equal(t, tr.Spec.Root+": 6 snapshots, 6 channels: everything is as it was signed\n", tr.must(t, "verify"))
	publishtest.Flip(t, filepath.Join(next.Dir, "x86_64", "lib-2-1.x86_64.rpm"))
	status, _, message = tr.repo(t, "verify")
	require.Equal(t, exitFailed, status)
	require.Contains(t, message, next.ID+": x86_64/lib-2-1.x86_64.rpm: its digest is")
}

func TestDiff(t *testing.T) {
	tr := newTree(t)
	old := tr.MustMake(tr.Add(rpmtest.Simple("gone", "1", "1", "noarch"), ""), tr.Add(rpmtest.Simple("up", "1", "1", "x86_64"), ""),
		tr.Add(rpmtest.Simple("down", "2", "1", "x86_64"), ""))
	next := tr.MustMake(tr.Add(rpmtest.Simple("new", "1", "1", "noarch"), ""), tr.Add(rpmtest.Simple("up", "1", "2", "x86_64"), ""),
		tr.Add(rpmtest.Simple("down", "1", "1", "x86_64"), ""))
	tr.must(t, "publish", old.ID)
	tr.must(t, "publish", next.ID, "--channel", "factory")
	for _, format := range []string{"text", "json"} {
		got := tr.must(t, "diff", "release", "factory", "--format", format)
		golden := filepath.Join(tr.here, "testdata", "repo", "diff."+format+".golden")
		if *update {
			require.NoError(t, os.MkdirAll(filepath.Dir(golden), 0o755))
			require.NoError(t, os.WriteFile(golden, []byte(got), 0o644))
		}
		want, err := os.ReadFile(golden)
		require.NoError(t, err)
		require.Equal(t, string(want), got)
	}
	// By whatever names, it is the same.
	want := strings.SplitAfterN(tr.must(t, "diff", "release", "factory"), "\n", 2)[1]
	for _, names := range [][]string{{old.ID[:6], next.ID[:6]}, {"release", "EL_9/" + next.ID[:6]}, {old.Dir, "factory"}} {
		out := tr.must(t, append([]string{"diff"}, names...)...)
		require.Equal(t, "EL_9: "+names[0]+" → "+names[1]+"\n"+want, out)
	}
	require.Contains(t, tr.must(t, "diff", "release", old.Dir), "no difference")
}

func TestGC(t *testing.T) {
	tr := newTree(t)
	var all []snapshot.Snapshot
	for _, version := range []string{"1", "2", "3", "4"} {
		all = append(all, tr.made("EL_9", version))
		tr.must(t, "publish", all[len(all)-1].ID)
	}
	tr.must(t, "publish", all[0].ID, "--channel", "pr/7")
	age := func() {
		old := time.Now().Add(-48 * time.Hour)
		for _, s := range all {
			if _, err := os.Stat(s.Dir); err == nil {
				require.NoError(t, os.Chtimes(s.Dir, old, old))
			}
		}
	}
	age()
	require.Equal(t, "nothing would be removed, 5 snapshots kept\n", tr.must(t, "gc", "--dry-run", "--keep", "0"), "they were current today")
	args := []string{"gc", "--keep", "1", "--retain", "1ns"}
	out := tr.must(t, append(args, "--dry-run")...)
	require.Equal(t, "EL_9/"+all[1].ID+": 2 packages, would be removed\n1 snapshot would be removed, 4 snapshots kept\n", out)
	require.DirExists(t, all[1].Dir)
	require.Equal(t, strings.ReplaceAll(out, "would be removed", "removed"), tr.must(t, args...))
	require.NoDirExists(t, all[1].Dir)
	for _, i := range []int{0, 2, 3} {
		require.DirExists(t, all[i].Dir, "a channel's current one, or the one to roll back to")
	}
	status, _, message := tr.repo(t, "gc", "--drop", "release")
	require.Equal(t, exitFailed, status)
	require.Contains(t, message, "not dropped, because people install from it: EL_9 3.2 release; if that is meant, give --allow-removal")
	require.Contains(t, tr.must(t, "gc", "--drop", "pr/7"), "EL_9 3.2 pr/7: dropped\n")
	require.DirExists(t, all[0].Dir, "its clients may still be there")
	age()
	require.Contains(t, tr.must(t, args...), "EL_9/"+all[0].ID+": 2 packages, removed")
	require.Contains(t, tr.must(t, "verify"), "3 snapshots, 2 channels")
}

func TestRepoMistakes(t *testing.T) {
	tr := newTree(t)
	el, leap := tr.made("EL_9", "1"), tr.made("Leap_15", "1")
	twin := ambiguous(t, el)
	tr.must(t, "publish", el.ID, "--channel", "staging")
	absent, notKey := filepath.Join(t.TempDir(), "absent"), filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(notKey, []byte("nothing\n"), 0o644))
	for _, test := range []struct {
		args []string
		want []string // what, and what to do about it
	}{
		{[]string{"publish"}, []string{"takes the ids of snapshots"}},
		{[]string{"publish", "abc"}, []string{`"abc" is no snapshot: give at least 4 digits`}},
		{[]string{"publish", "ffffffff"}, []string{"no snapshot ffffffff in " + tr.Spec.Root, "there are EL_9/", "EL_9/" + el.ID[:8], "Leap_15/" + leap.ID[:8]}},
		{[]string{"publish", el.ID[:4]}, []string{"is the beginning of 2 snapshots", el.ID, twin, "give more digits"}},
		{[]string{"publish", "Leap_15/" + el.ID}, []string{"no snapshot Leap_15/" + el.ID, "there are EL_9/"}},
		{[]string{"publish", el.ID, el.ID[:8]}, []string{"are both of EL_9 3.2 release"}},
		{[]string{"publish", el.ID, "--channel", "relase"}, []string{`--channel: "relase" is no channel: there are release, updates`}},
		{[]string{"promote", "staging"}, []string{"takes two channels, such as staging release"}},
		{[]string{"promote", "staging", "staging"}, []string{"FROM and TO are both staging"}},
		{[]string{"promote", "staging", "stable"}, []string{`TO: "stable" is no channel: there are release`}},
		{[]string{"promote", "factory", "release"}, []string{"nothing is published in channel factory of", "published there: EL_9 3.2 staging"}},
		{[]string{"promote", "staging", "release", "--target", "Leap_15"}, []string{"for --target Leap_15", "published there: EL_9 3.2 staging"}},
		{[]string{"promote", "staging", "release", "--release", "4"}, []string{"for --release 4", "published there: EL_9 3.2 staging"}},
		{[]string{"rollback"}, []string{"takes one channel, such as release"}},
		{[]string{"rollback", "staging"}, []string{"EL_9 3.2 staging had no other snapshot before", "--to"}},
		{[]string{"rollback", "staging", "--to", "ffff"}, []string{"no snapshot that begins with ffff was ever in channel staging", "repo publish"}},
		{[]string{"diff", "staging"}, []string{"takes two repositories"}},
		{[]string{"diff", "./nope", "staging"}, []string{"./nope is no repository", "no such file or directory"}},
		{[]string{"diff", "staging", "./nope"}, []string{"./nope is no repository", "no such file or directory"}},
		{[]string{"diff", notKey, "staging"}, []string{notKey + " is no repository", "not a directory"}},
		{[]string{"diff", "http://127.0.0.1:1/x", "staging"}, []string{"reading the repository http://127.0.0.1:1/x", "connection refused"}},
		{[]string{"diff", "file:///nope", "staging"}, []string{"reading the repository file:///nope"}},
		{[]string{"diff", "staging", "x"}, []string{`"x" is no channel, no snapshot`, "no folder with repodata and no URL"}},
		{[]string{"diff", "EL_9/" + el.ID[:8], leap.ID[:8]}, []string{"is a snapshot of EL_9, and " + leap.ID[:8] + " of Leap_15"}},
		{[]string{"diff", "staging", "release"}, []string{"nothing is published in channel release"}},
		{[]string{"diff", "staging", "staging", "--format", "xml"}, []string{"--format is text or json"}},
		{[]string{"verify", absent}, []string{absent, "--out names another output folder"}},
		{[]string{"verify", filepath.Dir(notKey)}, []string{"is neither a published tree nor a repository", "repomd.xml"}},
		{[]string{"verify", "--key", notKey}, []string{notKey, "ohpc-build key export prints such a file"}},
		{[]string{"verify", "--key", absent}, []string{"--key: ", absent}},
		{[]string{"gc", "--keep", "-1"}, []string{"cannot be negative"}},
		{[]string{"gc", "--dry-run", "--drop", "staging"}, []string{"cannot be tried with --dry-run"}},
		{[]string{"gc", "--drop", "pr/3"}, []string{"nothing is published in channel pr/3", "published there: EL_9 3.2 staging"}},
		{[]string{"dist"}, []string{"nothing is published in channel release"}},
		{[]string{"dist", "--channel", "staging", "--arch", "riscv64"}, []string{"nothing for --arch riscv64; it is for aarch64, x86_64"}},
		{[]string{"dist", "--channel", "staging", "--to", filepath.Join(notKey, "x")}, []string{"the folder for the archives", "not a directory"}},
		{[]string{"push"}, []string{"there is no storage to copy to: give --storage URL"}},
		{[]string{"push", "nightly", "--storage", "file:///x"}, []string{`"nightly" is no channel`}},
		{[]string{"push", "release", "--storage", "file:///x"}, []string{"nothing that was asked for is published", "published there: EL_9 3.2 staging"}},
		{[]string{"serve", absent}, []string{absent, "--out names another"}},
		{[]string{"serve", notKey}, []string{notKey + " is no folder"}},
		{[]string{"serve", "--listen", "8080"}, []string{"listening on 8080", "missing port"}},
		{[]string{"serve", "--url", "repos.example.org"}, []string{`--url "repos.example.org" is no address that clients can use`}},
		{[]string{"serve", "--url", "https://repos.example.org/?a=b"}, []string{"expected http://HOST/PATH"}},
		{[]string{"push", "--storage", "file:///x", "--prefix", "../x"}, []string{`--prefix "../x" is no folder in the storage`}},
		{[]string{"create", filepath.Join(tr.Spec.Root, "snapshots", "EL_9", el.ID)}, []string{"is a published snapshot, whose metadata do not change"}},
		{[]string{"create", filepath.Join(tr.Spec.Root, "OpenHPC", "3.2", "staging", "EL_9")}, []string{"is a published snapshot, whose metadata do not change"}},
	} {
		t.Run(strings.Join(test.args, " "), func(t *testing.T) {
			status, _, message := tr.repo(t, test.args...)
			require.Equal(t, exitUsage, status, message)
			for _, want := range test.want {
				require.Contains(t, message, want)
			}
		})
	}
	for _, args := range [][]string{
		{"publish", "abcd"},
		{"promote", "staging", "release"},
		{"rollback", "release"},
		{"diff", "release", "staging"},
		{"verify"},
		{"gc"},
		{"dist"},
		{"push", "--storage", "file:///x"},
		{"serve"},
	} {
		t.Run("no tree: "+args[0], func(t *testing.T) {
			status, _, message := run(t, append([]string{"repo", "--state", tr.state, "--out", absent}, args...)...)
			require.Equal(t, exitUsage, status, message)
			require.Contains(t, message, absent)
			require.Contains(t, message, "--out names another")
			status, _, message = run(t, append([]string{"repo", "--state", tr.state, "--out", notKey}, args...)...)
			require.Equal(t, exitUsage, status, message)
			require.Contains(t, message, notKey+"/repos: not a directory")
		})
	}
	t.Run("no channels", func(t *testing.T) {
		bare := t.TempDir()
		require.NoError(t, os.Mkdir(filepath.Join(bare, "snapshots"), 0o755))
		status, _, message := tr.repo(t, "verify", bare)
		require.Equal(t, exitUsage, status, message)
		require.Contains(t, message, bare+" has snapshots, and no channel points to them")
		require.Contains(t, message, filepath.Join(bare, "OpenHPC"))
	})
	for _, args := range [][]string{{"verify"}, {"dist", "--channel", "staging"}, {"promote", "staging", "release"}} {
		t.Run("no key: "+args[0], func(t *testing.T) {
			status, _, message := run(t, append([]string{"repo", "--out", tr.out}, args...)...)
			require.Equal(t, exitUsage, status, message)
			require.Contains(t, message, "there is no signing key yet")
			require.Contains(t, message, "ohpc-build key generate")
		})
	}
}

// ambiguous writes the manifest of another snapshot whose id begins with the same
// four digits, and returns its id.
func ambiguous(t *testing.T, s snapshot.Snapshot) string {
	t.Helper()
	for i := range int64(10_000_000) {
		b, id, err := snapshot.Manifest{Version: snapshot.ManifestVersion, Release: s.Release, Target: s.Target, Time: i}.Encode()
		require.NoError(t, err)
		if id[:4] == s.ID[:4] {
			dir := filepath.Join(filepath.Dir(s.Dir), id)
			require.NoError(t, os.Mkdir(dir, 0o755))
			require.NoError(t, os.WriteFile(filepath.Join(dir, snapshot.ManifestFile), b, 0o644))
			return id
		}
	}
	require.Fail(t, "no such id")
	return ""
}

// TestReadOnly: what only reads works where nothing can be written.
func TestReadOnly(t *testing.T) {
	tr := newTree(t)
	s := tr.made("EL_9", "1")
	tr.must(t, "publish", s.ID)
	frozen := t.TempDir()
	if err := unix.Mount(tr.out, frozen, "", unix.MS_BIND, ""); err != nil {
		t.Skipf("nothing can be mounted: %v", err)
	}
	t.Cleanup(func() { require.NoError(t, unix.Unmount(frozen, unix.MNT_DETACH)) })
	require.NoError(t, unix.Mount("", frozen, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY, ""))
	tr.out = frozen
	tr.must(t, "verify")
	tr.must(t, "diff", "release", "release")
	tr.must(t, "dist", "--to", t.TempDir())
	require.Equal(t, "nothing would be removed, 2 snapshots kept\n", tr.must(t, "gc", "--dry-run"))
	for _, args := range [][]string{{"publish", s.ID, "--channel", "staging"}, {"promote", "release", "staging"}, {"gc"}, {"dist"}} {
		status, _, message := tr.repo(t, args...)
		require.NotEqual(t, exitOK, status)
		require.Contains(t, message, "read-only file system")
		require.Contains(t, message, frozen)
	}
}

// TestTwoPublishers: the later one is told who is at work.
func TestTwoPublishers(t *testing.T) {
	tr := newTree(t)
	s := tr.made("EL_9", "1")
	held, err := lock.Tree(t.Context(), tr.Spec.Root, 0)
	require.NoError(t, err)
	for _, args := range [][]string{{"publish", s.ID, "--channel", "staging"}, {"gc"}} {
		status, _, message := tr.repo(t, append(args, "--wait", "10ms")...)
		require.Equal(t, exitFailed, status)
		require.Contains(t, message, ".channels/lock is held by process ")
		require.Contains(t, message, "waited 10ms for it; try again when it has ended, or wait longer (--wait)")
	}
	// The first release begins an empty repository of updates: for that nobody waits
	// longer than he says, nor twice.
	status, _, message := tr.repo(t, "publish", s.ID, "--wait", "0")
	require.Equal(t, exitFailed, status)
	require.Contains(t, message, ".channels/lock is held by process ")
	require.NotContains(t, message, "waited")
	require.NoError(t, held.Release())

	shared, err := lock.Shared(t.Context(), filepath.Join(tr.Spec.Root, layout.LockFile), 0)
	require.NoError(t, err)
	status, _, message = tr.repo(t, "publish", s.ID, "--wait", "0")
	require.Equal(t, exitFailed, status)
	require.Contains(t, message, ".channels/lock is held by another process")
	made, err := snapshot.List(tr.Spec.Root)
	require.NoError(t, err)
	require.Len(t, made, 1, "nothing was begun")
	time.AfterFunc(100*time.Millisecond, func() { _ = shared.Release() })
	tr.must(t, "publish", s.ID, "--wait", "1m")
	made, err = snapshot.List(tr.Spec.Root)
	require.NoError(t, err)
	require.Len(t, made, 2, "updates were begun")
}

// client makes a tree whose release has a package to install.
func client(t *testing.T) (*tried, snapshot.Snapshot) {
	t.Helper()
	tr := newTree(t)
	var packages []publish.Package
	for _, path := range rpmtest.BuildText(t, publishtest.Installable("1.0"), "noarch") {
		b, err := os.ReadFile(path)
		require.NoError(t, err)
		packages = append(packages, tr.Raw(tr.Sign(b), filepath.Base(path)))
	}
	packages = append(packages, tr.Add(rpmtest.Simple("lib", "1", "1", "x86_64"), ""))
	tr.Spec.BaseURL = "https://repos.example.org/hpc"
	s := tr.MustMake(packages...)
	tr.must(t, "publish", s.ID)
	return tr, s
}

// TestServe lets dnf install from repo serve, whose addresses are not those that
// the tree was published for.
func TestServe(t *testing.T) {
	tr, s := client(t)
	t.Chdir(t.TempDir())
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	out, in := io.Pipe()
	root := newRoot()
	root.SetOut(in)
	root.SetArgs([]string{"repo", "serve", "--out", tr.out, "--state", tr.state, "--listen", "127.0.0.1:0"})
	ended := make(chan error, 1)
	go func() { ended <- root.ExecuteContext(ctx) }()
	line := make([]byte, 1024)
	n, err := out.Read(line)
	require.NoError(t, err)
	_, rest, ok := strings.Cut(string(line[:n]), " is served at ")
	require.True(t, ok, string(line[:n]))
	url, _, _ := strings.Cut(rest, " ")

	get := func(name string) string {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+name, http.NoBody)
		require.NoError(t, err)
		resp, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, resp.StatusCode, name)
		return string(b)
	}
	require.Equal(t, url+"snapshots/EL_9/"+s.ID+"/\n", get("OpenHPC/3.2/EL_9.mirrorlist"))
	definition := get("OpenHPC/3.2/EL_9.repo")
	require.Contains(t, definition, "mirrorlist="+url+"OpenHPC/3.2/EL_9.mirrorlist\n")
	require.NotContains(t, definition, "example.org")
	file := filepath.Join(t.TempDir(), "OpenHPC.repo")
	require.NoError(t, os.WriteFile(file, []byte(definition), 0o644))
	for _, c := range publishtest.Clients {
		t.Run(c.Name, func(t *testing.T) {
			root := c.Root(t, file)
			out, err := c.Run(t, root, c.Install...)
			require.NoError(t, err, out)
			require.FileExists(t, filepath.Join(root, "usr/share/client-test/installed"))
		})
	}
	stop()
	require.NoError(t, <-ended)
}

// TestDist makes archives and installs from one that was unpacked elsewhere.
func TestDist(t *testing.T) {
	tr, _ := client(t)
	to := t.TempDir()
	out := tr.must(t, "dist", "--arch", "x86_64", "--to", to)
	name := filepath.Join(to, "OpenHPC-3.2.EL_9.x86_64.tar")
	require.Regexp(t, "^"+name+`: 3 packages, [0-9.]+ KiB, from [0-9a-f]{12}\n$`, out)
	require.FileExists(t, name+".asc")

	// What was killed leaves something behind, which goes unless somebody is at work.
	mine := filepath.Join(to, ".new-photos")
	left := []string{filepath.Join(to, ".new-1.tar"), filepath.Join(to, ".new-2.asc")}
	for _, name := range append(left, mine) {
		require.NoError(t, os.WriteFile(name, nil, 0o600))
	}
	release, err := lock.Tidy(to)
	require.NoError(t, err)
	tr.must(t, "dist", "--arch", "x86_64", "--to", to)
	require.FileExists(t, left[0])
	require.NoError(t, release())
	tr.must(t, "dist", "--arch", "x86_64", "--to", to)
	require.NoFileExists(t, left[0])
	require.NoFileExists(t, left[1])
	require.FileExists(t, mine)

	elsewhere := t.TempDir()
	rpmtest.Run(t, "tar", "-xf", name, "-C", elsewhere)
	for _, c := range publishtest.Clients {
		t.Run(c.Name, func(t *testing.T) {
			none := filepath.Join(t.TempDir(), "none.repo")
			require.NoError(t, os.WriteFile(none, nil, 0o644))
			root := c.Root(t, none)
			rpmtest.Run(t, filepath.Join(elsewhere, "OpenHPC-3.2.EL_9.x86_64", "make_repo.sh"), "--root", root)
			repo, err := os.ReadFile(filepath.Join(root, "etc/yum.repos.d/OpenHPC.local.repo"))
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(filepath.Join(root, "etc/repos/test.repo"), repo, 0o644))
			out, err := c.Run(t, root, c.Install...)
			require.NoError(t, err, out)
			require.FileExists(t, filepath.Join(root, "usr/share/client-test/installed"))
		})
	}
}

// TestPush copies a tree with the real program, found where programs are.
func TestPush(t *testing.T) {
	tr := newTree(t)
	tr.must(t, "publish", tr.made("EL_9", "1").ID)
	bucket := filepath.Join(t.TempDir(), "bucket")
	args := []string{"push", "--storage", "file://" + bucket, "--prefix", "hpc", "--verify"}

	path := os.Getenv("PATH")
	t.Setenv("PATH", t.TempDir())
	status, _, message := tr.repo(t, args...)
	require.Equal(t, exitHost, status)
	require.Contains(t, message, "neither beside this program nor on the PATH: make push makes it")
	config := filepath.Join(t.TempDir(), "ohpc-build.yaml")
	require.NoError(t, os.WriteFile(config, []byte("repository:\n  storage: file:///x\n"), 0o644))
	status, _, message = run(t, "matrix", "--config", config)
	require.Equal(t, exitHost, status, "it is told before the run")
	require.Contains(t, message, "repository.storage is file:///x: "+order.Program+" is needed")

	t.Setenv("PATH", path)
	programs := t.TempDir()
	build := exec.CommandContext(t.Context(), "go", "build", "-o", filepath.Join(programs, order.Program), "../ohpc-build-push")
	build.Dir = tr.here
	said, err := build.CombinedOutput()
	require.NoError(t, err, string(said))
	t.Setenv("PATH", programs+":"+path)
	require.Contains(t, tr.must(t, args...), "channels moved: 2")
	require.FileExists(t, filepath.Join(bucket, "hpc/OpenHPC/3.2/EL_9.mirrorlist"))
	require.Contains(t, tr.must(t, args...), "files: 0 sent")
	status, _, message = tr.repo(t, "push", "--storage", "ftp://example.org")
	require.Equal(t, exitUsage, status)
	require.Contains(t, message, "available schemes: azblob, file, gs, s3")

	// What the provider's library logs is not what went wrong.
	metadata := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(metadata.Close)
	for name, value := range map[string]string{
		"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_SESSION_TOKEN": "", "AWS_PROFILE": "", "AWS_CONFIG_FILE": "/nonexistent",
		"AWS_SHARED_CREDENTIALS_FILE": "/nonexistent", "AWS_EC2_METADATA_SERVICE_ENDPOINT": metadata.URL, "AWS_EC2_METADATA_DISABLED": "false",
	} {
		t.Setenv(name, value)
	}
	status, _, message = tr.repo(t, "push", "--storage", "s3://repos?region=us-east-1&use_path_style=true&endpoint="+metadata.URL)
	require.Equal(t, exitUsage, status, message)
	require.Contains(t, message, "it wants credentials, and none were found: AWS_ACCESS_KEY_ID")
	require.True(t, strings.HasPrefix(message, "opening the storage: it wants"), message)
	require.NotContains(t, message, "SDK ")

	// A run does the same by itself, and says what a failure means.
	after := func(storage string) (string, error) {
		config := filepath.Join(t.TempDir(), "ohpc-build.yaml")
		require.NoError(t, os.WriteFile(config, []byte("repository:\n  storage: "+storage+"\n  prefix: run\n"), 0o644))
		f := &flags{config: config, out: tr.out}
		p, err := f.storage()
		require.NoError(t, err)
		var out bytes.Buffer
		cmd := newMatrix(f)
		cmd.SetContext(t.Context())
		cmd.SetOut(&out)
		err = f.pushPublished(cmd, *p, layout.Release)
		return out.String(), err
	}
	out, err := after("file://" + bucket)
	require.NoError(t, err)
	require.Contains(t, out, "copying channel release to file://"+bucket+"\n")
	require.FileExists(t, filepath.Join(bucket, "run/OpenHPC/3.2/updates/EL_9.mirrorlist"))
	_, err = after("ftp://example.org")
	require.Equal(t, exitFailed, exitStatus(t.Context(), err), "the configuration was right enough to publish here")
	require.ErrorContains(t, err, "available schemes")
	require.ErrorContains(t, err, "what was published in "+tr.Spec.Root+" stands, and ohpc-build repo push completes the copy")

	other := newTree(t)
	other.must(t, "publish", other.made("EL_9", "2").ID)
	status, _, message = other.repo(t, args...)
	require.Equal(t, exitFailed, status)
	require.Contains(t, message, "take-over")
}
