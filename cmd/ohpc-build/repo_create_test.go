package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/repo/rpm/rpmtest"
	"github.com/ohpc-build/ohpc-build/repo/rpmmd"
)

func TestRepoCreate(t *testing.T) {
	dir := t.TempDir()
	rpm := filepath.Join(dir, "a-1-1.noarch.rpm")
	require.NoError(t, os.WriteFile(rpm, rpmtest.Simple("a", "1", "1", "noarch").Bytes(), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "comps.xml"), []byte("<comps/>"), 0o644))
	list := filepath.Join(t.TempDir(), "read")
	status, out, message := run(t, "repo", "create", "-g", "comps.xml", "--general-compress-type", "zstd", "-s", "sha512", "--repomd-checksum", "sha256",
		"--distro", "cpe:/o:x,X", "--content", "binary", "--repo", "tag", "--revision", "42", "--set-timestamp-to-revision",
		"--read-pkgs-list", list, "--no-database", "--pretty", "--retain-old-md", "2", "--compatibility", "--workers", "2", dir)
	require.Equal(t, exitOK, status, message)
	require.Equal(t, dir+": the metadata are written (1 packages, 1 of them read)\n", out)
	md, err := rpmmd.ReadRepomd(dir)
	require.NoError(t, err)
	require.Equal(t, "42", md.Revision)
	require.Equal(t, rpmmd.Tags{Content: []string{"binary"}, Repo: []string{"tag"}, Distro: []rpmmd.Distro{{CPE: "cpe:/o:x", Name: "X"}}}, md.Tags)
	for _, kind := range []string{"primary", "filelists", "other", "group", "group_zst"} {
		d, ok := md.Find(kind)
		require.True(t, ok, kind)
		require.Equal(t, "sha256", d.Checksum.Type)
		require.Equal(t, int64(42), d.Timestamp)
	}
	read, err := os.ReadFile(list)
	require.NoError(t, err)
	require.Equal(t, "a-1-1.noarch.rpm\n", string(read))

	state := t.TempDir()
	for want, args := range map[string][]string{
		"the metadata are written": {"--update", "--discard-additional-metadata"},
	} {
		_, out, message = run(t, append([]string{"repo", "create", "--state", state, dir}, args...)...)
		require.Contains(t, out, want, message)
	}
	_, out, _ = run(t, "repo", "create", "--state", state, "--update", dir)
	require.Equal(t, dir+": nothing has changed (1 packages, 0 of them read)\n", out)
	_, out, _ = run(t, "repo", "create", "--state", state, "--update", "--quiet", dir)
	require.Empty(t, out)

	require.NoError(t, os.Truncate(rpm, 500))
	status, _, message = run(t, "repo", "create", dir)
	require.Equal(t, exitFailed, status)
	require.Contains(t, message, "a-1-1.noarch.rpm: ")
}

func TestRepoCreateMistakes(t *testing.T) {
	dir := t.TempDir()
	bad := filepath.Join(t.TempDir(), "bad.xml")
	require.NoError(t, os.WriteFile(bad, []byte("<comps>"), 0o644))
	text := filepath.Join(t.TempDir(), "text")
	require.NoError(t, os.WriteFile(text, []byte("no markup\n"), 0o644))
	for want, args := range map[string][]string{
		"repo create takes one folder":              {},
		"no such file":                              {filepath.Join(dir, "absent")},
		"SQLite files are not written":              {"--database", dir},
		"xz is not written":                         {"--xz", dir},
		"zchunk files are not written":              {"--zck", dir},
		"delta packages are not supported":          {"--oldpackagedirs", "x", dir},
		"bz2 is not written, there are gz and zstd": {"--general-compress-type", "bz2", dir},
		"--checksum: unknown kind of digest":        {"--checksum", "md4", dir},
		"differ":                                    {"--compress-type", "gz", "--general-compress-type", "zstd", dir},
		"needs --revision":                          {"--set-timestamp-to-revision", "--revision", "today", dir},
		"no age":                                    {"--retain-old-md-by-age", "soon", dir},
		"--groupfile":                               {"--groupfile", bad, dir},
		"it is no XML":                              {"--groupfile", text, dir},
		"is not a folder":                           {"--outputdir", text, dir},
		"--pkglist":                                 {"--pkglist", "absent", dir},
		"is for --update":                           {"--recycle-pkglist", dir},
		"there is no signing key":                   {"--sign", dir},
		"must not be negative":                      {"--workers", "-1", dir},
		"0 is not possible":                         {"--changelog-limit", "0", dir},
	} {
		status, _, message := run(t, append([]string{"repo", "create"}, args...)...)
		require.Equal(t, exitUsage, status, "%v: %s", args, message)
		require.Contains(t, message, want)
	}
	require.NoDirExists(t, filepath.Join(dir, rpmmd.Dir))
}

func TestRepoCreateSign(t *testing.T) {
	dir, state := t.TempDir(), t.TempDir()
	status, _, message := run(t, "key", "generate", "--state", state)
	require.Equal(t, exitOK, status, message)
	status, _, message = run(t, "repo", "create", "--state", state, "--sign", dir)
	require.Equal(t, exitOK, status, message)
	status, _, message = run(t, "repo", "verify", "--state", state, dir)
	require.Equal(t, exitOK, status, message)
	_, out, _ := run(t, "repo", "create", "--state", state, "--sign", dir)
	require.Contains(t, out, "nothing has changed")
}
