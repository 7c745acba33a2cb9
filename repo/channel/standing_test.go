package channel_test

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/repo/channel"
	"github.com/ohpc-build/ohpc-build/repo/layout"
	"github.com/ohpc-build/ohpc-build/repo/publish/publishtest"
	"github.com/ohpc-build/ohpc-build/repo/verify"
)

// TestStandingGoesAlong: what was noted of a snapshot is told wherever it is published,
// also after a rollback and after a publish that was interrupted.
func TestStandingGoesAlong(t *testing.T) {
	f := publishtest.SetUp(t)
	one, two, three := numbered(f, "1"), numbered(f, "2"), numbered(f, "3")
	tree := f.Tree(channel.Options{})
	release, staging := pointer(layout.Release), pointer(layout.Staging)
	status := func(p layout.Pointer) string {
		t.Helper()
		b, err := tree.Status(p)
		require.NoError(t, err)
		return string(b)
	}
	noted := func(want ...string) {
		t.Helper()
		ids, err := tree.Noted(one.Target)
		require.NoError(t, err)
		require.ElementsMatch(t, want, ids)
	}
	noted()
	require.NoError(t, tree.Note(t.Context(), one.Target, one.ID, []byte("one\n")))
	noted(one.ID)
	require.NoError(t, tree.Note(t.Context(), two.Target, two.ID, []byte("two\n")))
	noted(one.ID, two.ID)
	require.NoError(t, os.WriteFile(filepath.Join(f.Spec.Root, ".channels/.standing", one.Target, "a note.json"), nil, 0o644))
	noted(one.ID, two.ID)
	require.NoError(t, tree.Move(t.Context(), publishtest.To(t, tree, layout.Release, one)))
	require.Equal(t, "one\n", status(release))
	require.NoError(t, tree.Move(t.Context(), publishtest.To(t, tree, layout.Staging, two)))
	require.NoError(t, tree.Move(t.Context(), publishtest.To(t, tree, layout.Release, two)))
	require.Equal(t, "two\n", status(release))

	require.NoError(t, tree.Note(t.Context(), two.Target, two.ID, []byte("two, again\n")))
	require.Equal(t, "two, again\n", status(release))
	require.Equal(t, "two, again\n", status(staging))

	require.NoError(t, tree.Move(t.Context(), publishtest.To(t, tree, layout.Release, one)))
	require.Equal(t, "one\n", status(release))

	// Nothing is known of the third one, and nothing is told.
	require.NoError(t, tree.Move(t.Context(), publishtest.To(t, tree, layout.Release, three)))
	_, err := tree.Status(release)
	require.ErrorIs(t, err, fs.ErrNotExist)

	m := publishtest.To(t, tree, layout.Release, two)
	m.Time = time.Now().UTC()
	journal, err := json.Marshal(map[string]any{"version": 1, "moves": []channel.Move{m}})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(f.Spec.Root, ".channels", "journal.json"), journal, 0o644))
	require.NoError(t, tree.Recover(t.Context()))
	require.Equal(t, "two, again\n", status(release))
	_, err = verify.Tree(t.Context(), f.Spec.Root, f.Spec.Key.Keyring())
	require.NoError(t, err)

	require.NoError(t, os.WriteFile(filepath.Join(f.Spec.Root, release.StatusFile()), []byte("forged\n"), 0o644))
	require.ErrorContains(t, tree.Check(release), "it is not what was noted of snapshot "+two.ID)

	require.NoError(t, tree.Drop(t.Context(), staging))
	require.NoFileExists(t, filepath.Join(f.Spec.Root, staging.StatusFile()))
}

func TestStandingGoesWithItsSnapshot(t *testing.T) {
	f := publishtest.SetUp(t)
	one, two := numbered(f, "1"), numbered(f, "2")
	now := time.Now()
	tree := f.Tree(channel.Options{Now: func() time.Time { return now }})
	require.NoError(t, tree.Note(t.Context(), one.Target, one.ID, []byte("one\n")))
	require.NoError(t, tree.Move(t.Context(), publishtest.To(t, tree, layout.Release, two)))
	now = now.Add(100 * time.Hour)
	done, err := tree.Collect(t.Context(), channel.Retention{Retain: time.Hour})
	require.NoError(t, err)
	require.Len(t, done.Snapshots, 1)
	_, err = tree.Standing(one.Target, one.ID)
	require.ErrorIs(t, err, fs.ErrNotExist)
	ids, err := tree.Noted(one.Target)
	require.NoError(t, err)
	require.Empty(t, ids)
	_, err = tree.Noted("../x")
	require.Error(t, err)
	require.ErrorIs(t, tree.Note(t.Context(), one.Target, one.ID, nil), fs.ErrNotExist, "there is no such snapshot any more")
	require.Error(t, tree.Note(t.Context(), "../x", one.ID, nil))
	require.Error(t, tree.Note(t.Context(), one.Target, "../x", nil))
}
