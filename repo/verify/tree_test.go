package verify_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/repo/channel"
	"github.com/ohpc-build/ohpc-build/repo/layout"
	"github.com/ohpc-build/ohpc-build/repo/publish/publishtest"
	"github.com/ohpc-build/ohpc-build/repo/snapshot"
	"github.com/ohpc-build/ohpc-build/repo/verify"
)

// TestTree looks at trees that somebody else has had in his hands. A pipe in a
// file's place must not be waited for: the test would not end.
func TestTree(t *testing.T) {
	pipe := func(t *testing.T, name string) {
		require.NoError(t, os.Remove(name))
		require.NoError(t, syscall.Mkfifo(name, 0o644))
	}
	for name, test := range map[string]struct {
		damage func(t *testing.T, root string, snap snapshot.Snapshot)
		want   string // empty: nothing is wrong
	}{
		"untouched": {func(*testing.T, string, snapshot.Snapshot) {}, ""},
		"a page and what a publisher left": {func(t *testing.T, root string, _ snapshot.Snapshot) {
			require.NoError(t, os.WriteFile(filepath.Join(root, "OpenHPC", "3.2", "index.html"), nil, 0o644))
			require.NoError(t, os.WriteFile(filepath.Join(root, "OpenHPC", "3.2", ".new-EL_9.repo"), nil, 0o644))
		}, ""},
		"a snapshot is a link to what nobody verified": {func(t *testing.T, root string, snap snapshot.Snapshot) {
			hidden := filepath.Join(root, ".elsewhere")
			require.NoError(t, os.Rename(snap.Dir, hidden))
			require.NoError(t, os.Symlink("../../.elsewhere", snap.Dir))
			require.NoError(t, os.WriteFile(filepath.Join(hidden, "noarch", "evil.rpm"), nil, 0o644))
		}, "it does not belong to the tree"},
		"a repository of no channel": {func(t *testing.T, root string, _ snapshot.Snapshot) {
			dir := filepath.Join(root, "OpenHPC", "3.2", "EL_10", "repodata")
			require.NoError(t, os.MkdirAll(dir, 0o755))
			require.NoError(t, os.WriteFile(filepath.Join(dir, "repomd.xml"), nil, 0o644))
		}, "OpenHPC/3.2/EL_10/repodata/repomd.xml: it does not belong to the tree"},
		"a definition of no channel": {func(t *testing.T, root string, _ snapshot.Snapshot) {
			require.NoError(t, os.WriteFile(filepath.Join(root, "OpenHPC", "3.2", "EL_10.repo"), nil, 0o644))
		}, "OpenHPC/3.2/EL_10.repo: it does not belong to the tree"},
		"a link of no channel": {func(t *testing.T, root string, _ snapshot.Snapshot) {
			require.NoError(t, os.Symlink("/tmp", filepath.Join(root, "OpenHPC", "3.2", "EL_10")))
		}, "OpenHPC/3.2/EL_10: it does not belong to the tree"},
		"the manifest is a pipe": {func(t *testing.T, _ string, snap snapshot.Snapshot) {
			pipe(t, filepath.Join(snap.Dir, snapshot.ManifestFile))
		}, "snapshot {id} of EL_9: "},
		"a package is a pipe": {func(t *testing.T, _ string, snap snapshot.Snapshot) {
			pipe(t, filepath.Join(snap.Dir, "noarch", "doc-1-1^git.noarch.rpm"))
		}, "noarch/doc-1-1^git.noarch.rpm: it is no regular file"},
		"data are a pipe": {func(t *testing.T, _ string, snap snapshot.Snapshot) {
			pipe(t, dataFile(t, snap.Dir, "primary"))
		}, "it is no regular file"},
		"a package of a terabyte": {func(t *testing.T, _ string, snap snapshot.Snapshot) {
			name := filepath.Join(snap.Dir, "noarch", "doc-1-1^git.noarch.rpm")
			require.NoError(t, os.Chmod(name, 0o644))
			require.NoError(t, os.Truncate(name, 1<<40))
		}, "it has 1099511627776 bytes, the metadata say"},
		"data of a terabyte": {func(t *testing.T, _ string, snap snapshot.Snapshot) {
			require.NoError(t, os.Truncate(dataFile(t, snap.Dir, "other"), 1<<40))
		}, "its size is 1099511627776"},
		"a name that looks like a message": {func(t *testing.T, _ string, snap snapshot.Snapshot) {
			require.NoError(t, os.WriteFile(filepath.Join(snap.Dir, "noarch", "x\x1b[2J\nall is well"), nil, 0o644))
		}, `"noarch/x\x1b[2J\nall is well": it does not belong`},
	} {
		t.Run(name, func(t *testing.T) {
			f := publishtest.SetUp(t)
			snap := f.MustMake(f.Some()...)
			tree, err := channel.Open(f.Spec.Root, channel.Options{})
			require.NoError(t, err)
			defer tree.Close()
			require.NoError(t, tree.Move(t.Context(), channel.Move{
				Pointer: layout.Pointer{Release: "3.2", Channel: layout.Release, Target: "EL_9"}, To: snap.ID, From: channel.Made,
			}))
			test.damage(t, f.Spec.Root, snap)
			_, err = verify.Tree(t.Context(), f.Spec.Root, f.Spec.Key.Keyring())
			if test.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, strings.ReplaceAll(test.want, "{id}", snap.ID))
		})
	}
}
