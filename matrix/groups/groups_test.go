package groups

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/internal/store"
	"github.com/ohpc-build/ohpc-build/repo/channel"
	"github.com/ohpc-build/ohpc-build/repo/layout"
	"github.com/ohpc-build/ohpc-build/repo/publish"
	"github.com/ohpc-build/ohpc-build/repo/publish/publishtest"
	"github.com/ohpc-build/ohpc-build/repo/rpm/rpmtest"
	"github.com/ohpc-build/ohpc-build/repo/rpmmd/group"
	"github.com/ohpc-build/ohpc-build/repo/verify"
)

// TestGroups makes groups of meta-packages, and lets dnf install one, and dnf and
// zypper tell of the updates, from a published repository with all checks on.
func TestGroups(t *testing.T) {
	f := publishtest.SetUp(t)
	meta := func(name, arch string, requires ...string) publish.Package {
		flags, versions := make([]uint32, len(requires)), make([]string, len(requires))
		return f.Add(rpmtest.Simple(name, "1", "1", arch, rpmtest.Text(1016, metaGroup), rpmtest.Text(1004, "All of "+name),
			rpmtest.Int32s(1048, flags...), rpmtest.Texts(1049, requires...), rpmtest.Texts(1050, versions...)), name)
	}
	member := func(name, version string) publish.Package {
		return f.Raw(f.Sign(rpmtest.Format6(t, name, "/usr/share/"+name, version, rpmtest.Text(1001, version), rpmtest.Text(1044, name+"-"+version+"-1.src.rpm")).Bytes()), name)
	}
	metas := []publish.Package{
		meta("ohpc-all", "x86_64", "one", "two", "glibc", "rpmlib(CompressedFileNames)"),
		meta("ohpc-all", "aarch64", "one", "three"),
		meta("ohpc-foreign", "noarch", "glibc"),
		f.Add(publishtest.Source("ohpc-all", "x86_64", "same"), "ohpc-all"),
	}
	packages := func(version string) []publish.Package {
		return append([]publish.Package{member("one", version), member("two", "1"), member("three", "1")}, metas...)
	}
	all, err := Of(t.Context(), f.Store, packages("1"))
	require.NoError(t, err)
	require.Equal(t, []group.Group{{ID: "ohpc-all", Name: "ohpc-all", Description: "All of ohpc-all", Mandatory: []string{"one", "three", "two"}}}, all)

	f.Spec.Groups = all
	first := f.MustMake(packages("1")...)
	require.NoError(t, f.Publish(first))
	file := filepath.Join(f.Spec.Root, layout.Pointer{Release: "3.2", Channel: layout.Release, Target: "EL_9"}.RepoFile())
	roots := map[string]string{}
	installed := func(t *testing.T, root string) string {
		t.Helper()
		return rpmtest.Run(t, "rpm", "--root", root, "-qa", "--qf", `%{NAME}-%{VERSION}\n`, "one", "two", "three")
	}
	for _, c := range publishtest.Clients {
		root := c.Root(t, file)
		command := []string{"install", "one", "two", "three"}
		if c.Name == "dnf" {
			out, err := c.Run(t, root, "group", "list", "--ids")
			require.NoError(t, err, out)
			require.Contains(t, out, "ohpc-all (ohpc-all)")
			require.NotContains(t, out, "ohpc-foreign", "nothing of it is ours")
			command = []string{"group", "install", "ohpc-all"}
		}
		out, err := c.Run(t, root, command...)
		require.NoError(t, err, out)
		require.ElementsMatch(t, []string{"one-1", "two-1", "three-1"}, strings.Fields(installed(t, root)))
		roots[c.Name] = root
	}

	f.Spec.Previous = &first
	second := f.MustMake(packages("2")...)
	require.NoError(t, verify.Repository(t.Context(), second.Dir, f.Spec.Key.Keyring()))
	tree := f.Tree(channel.Options{})
	require.NoError(t, tree.Move(t.Context(), publishtest.To(t, tree, layout.Release, second)))
	for _, c := range publishtest.Clients {
		root := roots[c.Name]
		out, err := c.Run(t, root, c.Refresh...)
		require.NoError(t, err, out)
		command := map[string][]string{"dnf": {"updateinfo", "list"}, "zypper": {"list-patches"}}[c.Name]
		out, err = c.Run(t, root, command...)
		require.NoError(t, err, out)
		require.Contains(t, out, "OHPC-one-2-1-")
		update := map[string][]string{"dnf": {"upgrade"}, "zypper": {"patch", "--with-update"}}[c.Name]
		out, err = c.Run(t, root, update...)
		require.NoError(t, err, out)
		require.ElementsMatch(t, []string{"one-2", "two-1", "three-1"}, strings.Fields(installed(t, root)))
	}
}

// TestWhatIsNotThere is no group, and an error names what is missing.
func TestWhatIsNotThere(t *testing.T) {
	f := publishtest.SetUp(t)
	lonely := f.Add(rpmtest.Simple("lonely", "1", "1", "noarch", rpmtest.Text(1016, metaGroup)), "lonely")
	all, err := Of(t.Context(), f.Store, []publish.Package{lonely})
	require.NoError(t, err)
	require.Empty(t, all, "a meta-package of nothing")

	gone := publish.Package{Digest: store.Of([]byte("never made")), File: "gone-1-1.noarch.rpm"}
	_, err = Of(t.Context(), f.Store, []publish.Package{lonely, gone})
	require.ErrorContains(t, err, store.Of([]byte("never made")).Hex())
	damaged, err := f.Store.PutBytes(t.Context(), []byte("no package"))
	require.NoError(t, err)
	_, err = Of(t.Context(), f.Store, []publish.Package{lonely, {Digest: damaged, File: "damaged-1-1.noarch.rpm"}})
	require.ErrorContains(t, err, "damaged-1-1.noarch.rpm")

	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("the run was interrupted"))
	_, err = Of(ctx, f.Store, []publish.Package{lonely})
	require.ErrorContains(t, err, "the run was interrupted")
}
