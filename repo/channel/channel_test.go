package channel_test

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/ohpc-build/ohpc-build/repo/channel"
	"github.com/ohpc-build/ohpc-build/repo/layout"
	"github.com/ohpc-build/ohpc-build/repo/lock"
	"github.com/ohpc-build/ohpc-build/repo/publish/publishtest"
	"github.com/ohpc-build/ohpc-build/repo/rpm/rpmtest"
	"github.com/ohpc-build/ohpc-build/repo/snapshot"
	"github.com/ohpc-build/ohpc-build/repo/verify"
)

// numbered makes a snapshot that holds one package of a version.
func numbered(f *publishtest.Fixture, version string) snapshot.Snapshot {
	return f.MustMake(f.Add(rpmtest.Simple("p", version, "1", "noarch"), ""))
}

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	require.NoError(t, err)
	return string(b)
}

func pointer(c layout.Channel) layout.Pointer {
	return layout.Pointer{Release: "3.2", Channel: c, Target: "EL_9"}
}

// TestMove looks at what clients see of each kind of channel.
func TestMove(t *testing.T) {
	for c, where := range map[layout.Channel]string{
		layout.Release: "OpenHPC/3.2/EL_9", layout.Updates: "OpenHPC/3.2/updates/EL_9", "pr/123": "OpenHPC/3.2/pr/123/EL_9",
	} {
		t.Run(string(c), func(t *testing.T) {
			f := publishtest.SetUp(t)
			f.Spec.BaseURL = "https://example.org/repos"
			one, two := numbered(f, "1"), numbered(f, "2")
			tree := f.Tree(channel.Options{})
			_, err := tree.Current(pointer(c))
			require.ErrorIs(t, err, fs.ErrNotExist)
			for _, s := range []snapshot.Snapshot{one, two, two} {
				require.NoError(t, tree.Move(t.Context(), publishtest.To(t, tree, c, s)))
			}
			got, err := tree.Current(pointer(c))
			require.NoError(t, err)
			require.Equal(t, two.ID, got.ID)

			base := filepath.Join(f.Spec.Root, where)
			line := func(s snapshot.Snapshot) string { return "https://example.org/repos/snapshots/EL_9/" + s.ID + "/\n" }
			require.Equal(t, line(two)+line(one), read(t, base+".mirrorlist"))
			link, err := filepath.EvalSymlinks(base)
			require.NoError(t, err)
			require.Equal(t, two.Dir, link)
			require.Contains(t, read(t, base+".repo"), "mirrorlist=https://example.org/repos/"+where+".mirrorlist\n")
			pointers, err := tree.Pointers()
			require.NoError(t, err)
			require.Equal(t, []layout.Pointer{pointer(c)}, pointers)
			entries, err := tree.History(pointer(c))
			require.NoError(t, err)
			require.Len(t, entries, 2, "what moves nothing leaves no trace")
			_, err = verify.Tree(t.Context(), f.Spec.Root, f.Spec.Key.Keyring())
			require.NoError(t, err)
		})
	}
}

// TestMoved refuses what was decided when the channel pointed elsewhere.
func TestMoved(t *testing.T) {
	f := publishtest.SetUp(t)
	one, two, three := numbered(f, "1"), numbered(f, "2"), numbered(f, "3")
	tree := f.Tree(channel.Options{})
	require.NoError(t, tree.Move(t.Context(), publishtest.To(t, tree, layout.Release, one)))
	stale := publishtest.To(t, tree, layout.Release, three)
	require.NoError(t, tree.Move(t.Context(), publishtest.To(t, tree, layout.Release, two)))
	var moved *channel.MovedError
	other := publishtest.To(t, tree, layout.Staging, three)
	require.ErrorAs(t, tree.Move(t.Context(), other, stale), &moved)
	require.Equal(t, &channel.MovedError{Pointer: pointer(layout.Release), Was: one.ID, Is: two.ID}, moved)
	_, err := tree.Current(pointer(layout.Staging))
	require.ErrorIs(t, err, fs.ErrNotExist, "all or nothing")
}

// TestAtOnce lets many publish at once: each sees its own result or is told that
// it came late, and nothing in between.
func TestAtOnce(t *testing.T) {
	f := publishtest.SetUpInMemory(t)
	first := numbered(f, "0")
	tree := f.Tree(channel.Options{})
	require.NoError(t, tree.Move(t.Context(), publishtest.To(t, tree, layout.Release, first)))
	var wg sync.WaitGroup
	errs := make([]error, 8)
	var moves []channel.Move
	for i := range errs {
		moves = append(moves, publishtest.To(t, tree, layout.Release, numbered(f, string(rune('1'+i)))))
	}
	for i := range errs {
		mine := f.Tree(channel.Options{Wait: time.Minute})
		wg.Go(func() { errs[i] = mine.Move(t.Context(), moves[i]) })
	}
	wg.Wait()
	won := 0
	for _, err := range errs {
		var moved *channel.MovedError
		if err == nil {
			won++
			continue
		}
		require.ErrorAs(t, err, &moved)
	}
	require.Equal(t, 1, won)
	require.NoError(t, tree.Check(pointer(layout.Release)))
}

// TestLocked is refused while another process publishes, and told which.
func TestLocked(t *testing.T) {
	f := publishtest.SetUp(t)
	one := numbered(f, "1")
	tree := f.Tree(channel.Options{Wait: 50 * time.Millisecond})
	l, err := lock.Tree(t.Context(), f.Spec.Root, 0)
	require.NoError(t, err)
	m := publishtest.To(t, tree, layout.Release, one)
	var held *lock.HeldError
	err = tree.Move(t.Context(), m)
	require.ErrorAs(t, err, &held)
	require.ErrorContains(t, err, "is held by process ")
	_, err = tree.Collect(t.Context(), channel.Retention{})
	require.ErrorAs(t, err, &held)
	require.NoError(t, l.Release())
	require.NoError(t, tree.Move(t.Context(), m))
}

// TestRecover completes what a journal says, wherever it was interrupted.
func TestRecover(t *testing.T) {
	for name, half := range map[string]func(t *testing.T, f *publishtest.Fixture, to snapshot.Snapshot){
		"before everything": func(*testing.T, *publishtest.Fixture, snapshot.Snapshot) {},
		"after the mirrorlist": func(t *testing.T, f *publishtest.Fixture, to snapshot.Snapshot) {
			t.Helper()
			base, err := layout.ParseURL(to.URL)
			require.NoError(t, err)
			publishtest.Replace(t, filepath.Join(f.Spec.Root, pointer(layout.Release).Mirrorlist()), layout.MirrorlistFile(base, to.Target, to.ID))
		},
		"with a link that waits": func(t *testing.T, f *publishtest.Fixture, _ snapshot.Snapshot) {
			t.Helper()
			require.NoError(t, os.Symlink("nowhere", filepath.Join(f.Spec.Root, "OpenHPC/3.2/.new-EL_9")))
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := publishtest.SetUp(t)
			one, two := numbered(f, "1"), numbered(f, "2")
			tree := f.Tree(channel.Options{})
			require.NoError(t, tree.Move(t.Context(), publishtest.To(t, tree, layout.Release, one), publishtest.To(t, tree, layout.Staging, one)))
			var moves []channel.Move
			for _, c := range []layout.Channel{layout.Release, layout.Staging} {
				m := publishtest.To(t, tree, c, two)
				m.Time = time.Now().UTC()
				moves = append(moves, m)
			}
			journal, err := json.Marshal(map[string]any{"version": 1, "moves": moves})
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(filepath.Join(f.Spec.Root, ".channels", "journal.json"), journal, 0o644))
			half(t, f, two)
			_, err = verify.Tree(t.Context(), f.Spec.Root, f.Spec.Key.Keyring())
			require.ErrorContains(t, err, "was interrupted")

			require.NoError(t, tree.Recover(t.Context()))
			for _, m := range moves {
				s, err := tree.Current(m.Pointer)
				require.NoError(t, err)
				require.Equal(t, two.ID, s.ID)
				entries, err := tree.History(m.Pointer)
				require.NoError(t, err)
				require.Len(t, entries, 2)
			}
			_, err = verify.Tree(t.Context(), f.Spec.Root, f.Spec.Key.Keyring())
			require.NoError(t, err)
		})
	}
}

func TestPrevious(t *testing.T) {
	for _, test := range []struct{ history, want string }{
		{"", ""},
		{"a", ""},
		{"a b", "a"},
		{"a b a", "b"},
		{"a b c <b", "a"},
		{"a b c <b <a", ""},
		{"a b c <b d", "b"},
		{"a b b", "a"},
		{"a b <a <b", "a"}, // rolled forward again by its id
	} {
		var entries []channel.Entry
		for _, field := range strings.Fields(test.history) {
			e := channel.Entry{ID: field, From: channel.Made}
			if field[0] == '<' {
				e = channel.Entry{ID: field[1:], From: channel.RolledBack}
			}
			entries = append(entries, e)
		}
		got, ok := channel.Previous(entries)
		require.Equal(t, test.want != "", ok, test.history)
		require.Equal(t, test.want, got.ID, test.history)
	}
}

// TestCollect removes only what nobody needs.
func TestCollect(t *testing.T) {
	f := publishtest.SetUp(t)
	now := time.Now()
	numbered(f, "1")
	tree := f.Tree(channel.Options{Now: func() time.Time { return now }})
	var all []snapshot.Snapshot
	for _, version := range []string{"1", "2", "3", "4", "5"} {
		s := numbered(f, version)
		all = append(all, s)
		now = now.Add(time.Hour)
		require.NoError(t, tree.Move(t.Context(), publishtest.To(t, tree, layout.Release, s)))
	}
	require.NoError(t, tree.Move(t.Context(), publishtest.To(t, tree, "pr/7", all[1])))
	waiting := numbered(f, "6") // not published yet
	left := func() (ids []string) {
		t.Helper()
		snapshots, err := snapshot.List(f.Spec.Root)
		require.NoError(t, err)
		for _, s := range snapshots {
			ids = append(ids, s.ID)
		}
		return ids
	}
	ids := func(which ...snapshot.Snapshot) (ids []string) {
		for _, s := range which {
			ids = append(ids, s.ID)
		}
		return ids
	}
	collect := func(r channel.Retention) channel.Collected {
		t.Helper()
		done, err := tree.Collect(t.Context(), r)
		require.NoError(t, err)
		if !r.DryRun {
			_, err = verify.Tree(t.Context(), f.Spec.Root, f.Spec.Key.Keyring())
			require.NoError(t, err)
		}
		return done
	}
	require.Empty(t, collect(channel.Retention{Retain: 24 * time.Hour}).Snapshots, "all were used within the day")

	// Half an hour after the last publish, the one before was used a half hour ago.
	now = now.Add(30 * time.Minute)
	old := now.Add(-12 * time.Hour)
	for _, s := range all {
		require.NoError(t, os.Chtimes(s.Dir, old, old))
	}
	require.NoError(t, os.Chtimes(waiting.Dir, now, now))
	require.Len(t, collect(channel.Retention{Retain: time.Hour, DryRun: true}).Snapshots, 2)
	require.Len(t, left(), 6, "it was dry")
	require.ElementsMatch(t, ids(all[0], all[2]), ids(collect(channel.Retention{Retain: time.Hour}).Snapshots...))
	require.ElementsMatch(t, ids(all[1], all[3], all[4], waiting), left())
	require.NotContains(t, read(t, filepath.Join(f.Spec.Root, "OpenHPC/3.2/EL_9.mirrorlist")), all[0].ID)

	// What can be rolled back to stays, whatever its age.
	now = now.Add(100 * time.Hour)
	require.ElementsMatch(t, ids(waiting), ids(collect(channel.Retention{Keep: 1, Retain: time.Hour}).Snapshots...))
	require.ElementsMatch(t, ids(all[3]), ids(collect(channel.Retention{Retain: time.Hour}).Snapshots...))

	// A channel that has ended needs nothing, but its clients may still be there.
	require.NoError(t, tree.Drop(t.Context(), pointer("pr/7")))
	require.ErrorIs(t, tree.Drop(t.Context(), pointer("pr/7")), fs.ErrNotExist)
	require.Empty(t, collect(channel.Retention{Retain: time.Hour}).Snapshots)
	now = now.Add(2 * time.Hour)
	require.ElementsMatch(t, ids(all[1]), ids(collect(channel.Retention{Retain: time.Hour}).Snapshots...))
	require.Equal(t, ids(all[4]), left())

	// A snapshot that is made again is wanted again.
	require.NoError(t, os.Chtimes(all[4].Dir, old, old))
	require.True(t, numbered(f, "5").Existed)
	fi, err := os.Stat(all[4].Dir)
	require.NoError(t, err)
	require.WithinDuration(t, time.Now(), fi.ModTime(), time.Minute)
}

// TestSweep removes what dead writers left, and nothing of living ones.
func TestSweep(t *testing.T) {
	f := publishtest.SetUp(t)
	numbered(f, "1")
	dir := filepath.Join(f.Spec.Root, "snapshots", "EL_9")
	alive, err := lock.NewScratch(t.Context(), f.Spec.Root, dir, nil)
	require.NoError(t, err)
	dead := filepath.Join(dir, ".new-dead")
	require.NoError(t, os.MkdirAll(filepath.Join(dead, "repodata"), 0o755))
	require.NoError(t, os.WriteFile(dead+".lock", nil, 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(dir, ".new-only.lock"), nil, 0o644))
	tree := f.Tree(channel.Options{})
	done, err := tree.Collect(t.Context(), channel.Retention{Retain: time.Hour})
	require.NoError(t, err)
	require.Equal(t, []string{"snapshots/EL_9/.new-dead", "snapshots/EL_9/.new-only"}, done.Leftovers)
	require.DirExists(t, alive.Dir)
	require.NoDirExists(t, dead)
	require.NoError(t, alive.Discard())
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 1)
}

// TestHostileTree follows no link out of the tree and replaces nothing foreign.
func TestHostileTree(t *testing.T) {
	outside := t.TempDir()
	for name, test := range map[string]struct {
		prepare func(t *testing.T, root string)
		want    string
	}{
		"a folder in the link's place": {func(t *testing.T, root string) {
			t.Helper()
			require.NoError(t, os.MkdirAll(filepath.Join(root, "OpenHPC/3.2/EL_9"), 0o755))
		}, "is not ours to replace"},
		"a folder in the mirrorlist's place": {func(t *testing.T, root string) {
			t.Helper()
			require.NoError(t, os.MkdirAll(filepath.Join(root, "OpenHPC/3.2/EL_9.mirrorlist"), 0o755))
		}, "is no file of at most"},
		"a mirrorlist of another tree": {func(t *testing.T, root string) {
			t.Helper()
			require.NoError(t, os.MkdirAll(filepath.Join(root, "OpenHPC/3.2"), 0o755))
			require.NoError(t, os.WriteFile(filepath.Join(root, "OpenHPC/3.2/EL_9.mirrorlist"), []byte("https://example.org/EL_9/\n"), 0o644))
		}, "which is no snapshot of EL_9"},
		"the product leads out": {func(t *testing.T, root string) {
			t.Helper()
			require.NoError(t, os.Symlink(outside, filepath.Join(root, "OpenHPC")))
		}, "path escapes from parent"},
		"the history leads out": {func(t *testing.T, root string) {
			t.Helper()
			require.NoError(t, os.Symlink(outside, filepath.Join(root, ".channels", "3.2")))
		}, "path escapes from parent"},
		"the snapshots lead out": {func(t *testing.T, root string) {
			t.Helper()
			require.NoError(t, os.Rename(filepath.Join(root, "snapshots"), filepath.Join(outside, "snapshots")))
			require.NoError(t, os.Symlink(filepath.Join(outside, "snapshots"), filepath.Join(root, "snapshots")))
		}, "path escapes from parent"},
	} {
		t.Run(name, func(t *testing.T) {
			f := publishtest.SetUp(t)
			one := numbered(f, "1")
			test.prepare(t, f.Spec.Root)
			tree := f.Tree(channel.Options{})
			require.ErrorContains(t, tree.Move(t.Context(), publishtest.To(t, tree, layout.Release, one)), test.want)
			pending, err := tree.Interrupted()
			require.NoError(t, err)
			require.False(t, pending)
			for _, name := range publishtest.Files(t, f.Spec.Root) {
				require.NotContains(t, name, ".new-")
			}
		})
	}
}

// TestStrayFiles: people put pages and keys beside what is published.
func TestStrayFiles(t *testing.T) {
	f := publishtest.SetUp(t)
	one := numbered(f, "1")
	tree := f.Tree(channel.Options{})
	require.NoError(t, tree.Move(t.Context(), publishtest.To(t, tree, layout.Release, one)))
	require.NoError(t, tree.Move(t.Context(), publishtest.To(t, tree, "pr/7", one)))
	want, err := tree.Pointers()
	require.NoError(t, err)
	require.Len(t, want, 2)
	for _, name := range []string{
		"OpenHPC/index.html", "OpenHPC/RPM-GPG-KEY-OpenHPC-3", "OpenHPC/-3/EL_9.mirrorlist", "OpenHPC/3.2/index.html", "OpenHPC/3.2/pr/index.html",
		"OpenHPC/3.2/updates", "OpenHPC/4", "OpenHPC/5/pr",
	} {
		name = filepath.Join(f.Spec.Root, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o755))
		require.NoError(t, os.WriteFile(name, []byte("a page"), 0o644))
	}
	got, err := tree.Pointers()
	require.NoError(t, err)
	require.Equal(t, want, got)
	require.NoError(t, os.RemoveAll(filepath.Join(f.Spec.Root, "OpenHPC/-3")))
	_, err = verify.Tree(t.Context(), f.Spec.Root, f.Spec.Key.Keyring())
	require.NoError(t, err)

	// Another name for a release is no further release.
	require.NoError(t, os.Symlink("3.2", filepath.Join(f.Spec.Root, "OpenHPC/latest")))
	for _, name := range []string{"snapshots/index.html", "snapshots/EL_9/README"} {
		require.NoError(t, os.WriteFile(filepath.Join(f.Spec.Root, name), nil, 0o644))
	}
	got, err = tree.Pointers()
	require.NoError(t, err)
	require.Equal(t, want, got)
	done, err := tree.Collect(t.Context(), channel.Retention{})
	require.NoError(t, err)
	require.Equal(t, 1, done.Kept)
	require.Empty(t, done.Snapshots)
	require.NoError(t, os.Remove(filepath.Join(f.Spec.Root, "OpenHPC/latest")))
	_, err = verify.Tree(t.Context(), f.Spec.Root, f.Spec.Key.Keyring())
	require.NoError(t, err)
}

// TestDamagedJournal: nobody can complete what cannot be read, and who only reads goes on.
func TestDamagedJournal(t *testing.T) {
	f := publishtest.SetUp(t)
	one, two := numbered(f, "1"), numbered(f, "2")
	tree := f.Tree(channel.Options{})
	require.NoError(t, tree.Move(t.Context(), publishtest.To(t, tree, layout.Release, one)))
	journal := filepath.Join(f.Spec.Root, ".channels", "journal.json")
	for name, tc := range map[string]struct{ text, want string }{
		"cut off":      {`{"version": 1, "mo`, "move that file away; ohpc-build repo verify then tells"},
		"empty":        {"", "move that file away"},
		"no journal":   {"{}", "move that file away"},
		"a later one":  {`{"version": 7, "moves": []}`, "is version 7, this program reads 1: complete it with the program that began it"},
		"another type": {`{"version": 1, "moves": 3}`, "move that file away"},
	} {
		t.Run(name, func(t *testing.T) {
			require.NoError(t, os.WriteFile(journal, []byte(tc.text), 0o644))
			_, collected := tree.Collect(t.Context(), channel.Retention{})
			_, verified := verify.Tree(t.Context(), f.Spec.Root, f.Spec.Key.Keyring())
			for _, err := range []error{
				tree.Move(t.Context(), publishtest.To(t, tree, layout.Release, two)), tree.Recover(t.Context()), collected, verified,
			} {
				require.ErrorContains(t, err, "a publish was interrupted")
				require.ErrorContains(t, err, journal)
				require.ErrorContains(t, err, tc.want)
			}
			now, err := tree.Current(pointer(layout.Release))
			require.NoError(t, err)
			require.Equal(t, one.ID, now.ID)
			_, err = tree.Pointers()
			require.NoError(t, err)
			require.NoError(t, tree.Check(pointer(layout.Release)))
		})
	}

	// What the message says helps: the mirrorlist had moved, and the rest had not.
	require.NoError(t, os.Remove(journal))
	require.NoError(t, tree.Recover(t.Context()))
	list := filepath.Join(f.Spec.Root, pointer(layout.Release).Mirrorlist())
	require.NoError(t, os.WriteFile(list, []byte(strings.ReplaceAll(read(t, list), one.ID, two.ID)), 0o644))
	_, err := verify.Tree(t.Context(), f.Spec.Root, f.Spec.Key.Keyring())
	require.ErrorContains(t, err, "channel EL_9 3.2 release")
	require.NoError(t, tree.Move(t.Context(), publishtest.To(t, tree, layout.Release, two)))
	_, err = verify.Tree(t.Context(), f.Spec.Root, f.Spec.Key.Keyring())
	require.NoError(t, err)
}

// TestDamagedHistory: what the message says helps.
func TestDamagedHistory(t *testing.T) {
	f := publishtest.SetUp(t)
	one, two := numbered(f, "1"), numbered(f, "2")
	tree := f.Tree(channel.Options{})
	require.NoError(t, tree.Move(t.Context(), publishtest.To(t, tree, layout.Release, one)))
	history := filepath.Join(f.Spec.Root, ".channels", "3.2", "release", "EL_9.json")
	require.NoError(t, os.WriteFile(history, []byte("{"), 0o644))
	err := tree.Move(t.Context(), publishtest.To(t, tree, layout.Release, two))
	require.ErrorContains(t, err, "reading the history of EL_9 3.2 release ("+history+"): unexpected end of JSON input; move that file away")
	require.NoError(t, os.Remove(history))
	require.NoError(t, tree.Move(t.Context(), publishtest.To(t, tree, layout.Release, one)))
	entries, err := tree.History(pointer(layout.Release))
	require.NoError(t, err)
	require.Len(t, entries, 1)
	_, err = verify.Tree(t.Context(), f.Spec.Root, f.Spec.Key.Keyring())
	require.NoError(t, err)
}

// TestDryRunChangesNothing: not even what an interrupted publish left to do.
func TestDryRunChangesNothing(t *testing.T) {
	f := publishtest.SetUp(t)
	one, two := numbered(f, "1"), numbered(f, "2")
	tree := f.Tree(channel.Options{})
	require.NoError(t, tree.Move(t.Context(), publishtest.To(t, tree, layout.Release, one)))
	m := publishtest.To(t, tree, layout.Release, two)
	m.Time = time.Now().UTC()
	journal, err := json.Marshal(map[string]any{"version": 1, "moves": []channel.Move{m}})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(f.Spec.Root, ".channels", "journal.json"), journal, 0o644))
	dead := filepath.Join(f.Spec.Root, "snapshots/EL_9/.new-dead")
	require.NoError(t, os.Mkdir(dead, 0o755))
	require.NoError(t, os.WriteFile(dead+".lock", nil, 0o644))
	alive, err := lock.NewScratch(t.Context(), f.Spec.Root, filepath.Dir(dead), nil)
	require.NoError(t, err)
	defer func() { require.NoError(t, alive.Discard()) }()

	before := publishtest.Files(t, f.Spec.Root)
	done, err := tree.Collect(t.Context(), channel.Retention{DryRun: true})
	require.NoError(t, err)
	require.Empty(t, done.Snapshots, "both are needed: one by the channel, one by what is to be completed")
	require.Equal(t, []string{"snapshots/EL_9/.new-dead"}, done.Leftovers)
	require.Equal(t, before, publishtest.Files(t, f.Spec.Root))
	pending, err := tree.Interrupted()
	require.NoError(t, err)
	require.True(t, pending)
}

// TestDiskFull publishes where there is no room: nothing moves.
func TestDiskFull(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"); err != nil {
		t.Skipf("a small file system cannot be mounted: %v", err)
	}
	t.Cleanup(func() { require.NoError(t, unix.Unmount(dir, unix.MNT_DETACH)) })
	key, err := publishtest.OurKey()
	require.NoError(t, err)
	f := publishtest.SetUpIn(t, dir, key)
	one, two := numbered(f, "1"), numbered(f, "2")
	tree := f.Tree(channel.Options{})
	require.NoError(t, tree.Move(t.Context(), publishtest.To(t, tree, layout.Release, one)))
	filler, err := os.Create(filepath.Join(dir, "filler"))
	require.NoError(t, err)
	for err == nil {
		_, err = filler.Write(make([]byte, 4096))
	}
	require.ErrorIs(t, err, unix.ENOSPC)
	require.NoError(t, filler.Close())
	move := publishtest.To(t, tree, layout.Release, two)
	require.ErrorIs(t, tree.Move(t.Context(), move), unix.ENOSPC)
	p := f.Spec
	p.Time = publishtest.Created
	g := *f
	g.Spec = p
	_, err = g.Make()
	require.ErrorIs(t, err, unix.ENOSPC)
	now, err := tree.Current(pointer(layout.Release))
	require.NoError(t, err)
	require.Equal(t, one.ID, now.ID)

	// What makes room works: it writes when there is some.
	require.NoError(t, os.Truncate(filler.Name(), 0))
	require.NoError(t, tree.Move(t.Context(), move))
	three := numbered(f, "3")
	require.NoError(t, tree.Move(t.Context(), publishtest.To(t, tree, layout.Release, three)))
	filler, err = os.OpenFile(filler.Name(), os.O_WRONLY, 0)
	require.NoError(t, err)
	for err == nil {
		_, err = filler.Write(make([]byte, 512))
	}
	require.ErrorIs(t, err, unix.ENOSPC)
	require.NoError(t, filler.Close())
	require.ErrorIs(t, tree.Note(t.Context(), "EL_9", three.ID, []byte("{}\n")), unix.ENOSPC, "it is full")
	done, err := tree.Collect(t.Context(), channel.Retention{})
	require.NoError(t, err)
	require.Len(t, done.Snapshots, 2)
	b, err := os.ReadFile(filepath.Join(f.Spec.Root, pointer(layout.Release).Mirrorlist()))
	require.NoError(t, err)
	require.NotContains(t, string(b), one.ID)
	_, err = verify.Tree(t.Context(), f.Spec.Root, f.Spec.Key.Keyring())
	require.NoError(t, err)
	one, two = three, numbered(f, "4")
	move = publishtest.To(t, tree, layout.Release, two)
	require.NoError(t, os.Remove(filler.Name()))
	_, err = verify.Tree(t.Context(), f.Spec.Root, f.Spec.Key.Keyring())
	require.NoError(t, err)
	require.NoError(t, tree.Move(t.Context(), move))

	// Where nothing can be written readers go on.
	frozen := t.TempDir()
	require.NoError(t, unix.Mount(f.Spec.Root, frozen, "", unix.MS_BIND, ""))
	t.Cleanup(func() { require.NoError(t, unix.Unmount(frozen, unix.MNT_DETACH)) })
	require.NoError(t, unix.Mount("", frozen, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY, ""))
	tree, err = channel.Open(frozen, channel.Options{})
	require.NoError(t, err)
	defer tree.Close()
	require.ErrorIs(t, tree.Move(t.Context(), publishtest.To(t, tree, layout.Release, one)), unix.EROFS)
	now, err = tree.Current(pointer(layout.Release))
	require.NoError(t, err)
	require.Equal(t, two.ID, now.ID)
}
