package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/internal/testenv"
	"github.com/ohpc-build/ohpc-build/recipes/catalog"
	"github.com/ohpc-build/ohpc-build/repo/rpm"
	"github.com/ohpc-build/ohpc-build/repo/rpm/write"
	"github.com/ohpc-build/ohpc-build/repo/rpmmd"
	"github.com/ohpc-build/ohpc-build/repo/sign"
)

// signedRepository is a repository of packages of a key, on a web server and in a folder.
func signedRepository(t *testing.T, key *sign.Key, packages ...write.Package) (dir, url string) {
	t.Helper()
	dir = t.TempDir()
	var entries []rpmmd.Entry
	for _, p := range packages {
		p.Version, p.Release, p.Summary, p.License, p.Description, p.BuildHost = "1", "1", "s", "MIT", "d", "h"
		p.SourceRPM, p.BuildTime = p.Name+"-1-1.src.rpm", time.Unix(1700000000, 0)
		var b bytes.Buffer
		require.NoError(t, write.Write(&b, p))
		unsigned := filepath.Join(t.TempDir(), "unsigned.rpm")
		require.NoError(t, os.WriteFile(unsigned, b.Bytes(), 0o644))
		location := p.Arch + "/" + p.Name + ".rpm"
		path := filepath.Join(dir, location)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, key.SignPackageFile(t.Context(), unsigned, path, key.Created()))
		content, err := os.ReadFile(path)
		require.NoError(t, err)
		read, err := rpm.ReadFile(path)
		require.NoError(t, err)
		digest := sha256.Sum256(content)
		entries = append(entries, rpmmd.Entry{Package: read, Location: location, SHA256: hex.EncodeToString(digest[:])})
	}
	_, err := rpmmd.Write(t.Context(), dir, entries, rpmmd.Options{})
	require.NoError(t, err)
	repomd, err := os.ReadFile(filepath.Join(dir, rpmmd.RepomdFile))
	require.NoError(t, err)
	var signature bytes.Buffer
	require.NoError(t, key.SignDetached(&signature, bytes.NewReader(repomd), key.Created()))
	require.NoError(t, os.WriteFile(filepath.Join(dir, rpmmd.RepomdFile+".asc"), signature.Bytes(), 0o644))
	server := httptest.NewServer(http.FileServer(http.Dir(dir)))
	t.Cleanup(server.Close)
	return dir, server.URL
}

func TestValidatePackages(t *testing.T) {
	testenv.Integration(t)
	testenv.Root(t)
	testenv.Programs(t, "runc", "rpmkeys")
	key, err := sign.Generate(sign.Params{Name: "Ours", Email: "test@example.org"})
	require.NoError(t, err)
	keyFile := filepath.Join(t.TempDir(), "key.asc")
	require.NoError(t, os.WriteFile(keyFile, key.PublicKey(), 0o644))
	good := write.Package{Name: "good", Arch: "noarch", Files: []write.File{{Path: "/opt/good", Mode: 0o100755, Data: []byte("#!/bin/sh\n")}}}
	bad := write.Package{Name: "bad", Arch: "x86_64", Files: []write.File{
		{Path: "/opt/good", Mode: 0o104755, Data: []byte("other")},
		{Path: "/opt/run", Mode: 0o100755, Data: []byte("#!/usr/bin/nothing\n")},
	}}
	validate := func(args ...string) (int, string, string) {
		all := []string{"--state", testenv.State(t), "--out", t.TempDir(), "--progress", "none", "--target", "Debian_12", "--arch", "x86_64", "validate"}
		return run(t, append(all, args...)...)
	}
	dir, url := signedRepository(t, key, good)
	for _, repo := range []string{dir, url} {
		status, out, message := validate("content", "--repo", repo)
		require.Equal(t, exitOK, status, out+message)
		require.Contains(t, out, "Debian_12/x86_64: content: pass")
		status, out, message = validate("signatures", "--repo", repo, "--key", keyFile)
		require.Equal(t, exitOK, status, out+message)
		require.Contains(t, out, "Debian_12/x86_64: signatures: pass")
	}

	dir, url = signedRepository(t, key, good, bad)
	status, out, message := validate("content", "--repo", url)
	require.Equal(t, exitFailed, status, message)
	require.Equal(t, "1 of 1 check failed", message)
	for _, want := range []string{
		"bad-1-1.x86_64: /opt/good: setuid: it runs with the rights of its owner",
		"bad-1-1.x86_64: /opt/run: interpreter: its interpreter /usr/bin/nothing is neither in a package nor in the image",
		"bad-1-1.x86_64: /opt/good: file-conflict: good-1-1.noarch has it too",
	} {
		require.Contains(t, out, want)
	}
	status, out, _ = validate("content", "--repo", dir, "--format", "json")
	require.Equal(t, exitFailed, status)
	var document struct {
		Version int
		Checks  []struct{ Name, Target, Arch, Result, Reason string }
	}
	require.NoError(t, json.Unmarshal([]byte(out), &document))
	require.Len(t, document.Checks, 1)
	require.Equal(t, "fail", document.Checks[0].Result)

	// A package that was changed behind the metadata's back, and after it was found right.
	path := filepath.Join(dir, "noarch", "good.rpm")
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	b[len(b)-1] ^= 1
	require.NoError(t, os.WriteFile(path, b, 0o644))
	status, out, _ = validate("content", "--repo", dir)
	require.Equal(t, exitFailed, status)
	require.Contains(t, out, "noarch/good.rpm: its sha256 is")
	status, out, _ = validate("signatures", "--repo", dir, "--key", keyFile)
	require.Equal(t, exitFailed, status)
	require.Contains(t, out, "noarch/good.rpm: ohpc-build: ")
	require.Contains(t, out, "noarch/good.rpm: rpmkeys: ")
	require.NotContains(t, out, "bad.rpm")
	status, _, message = validate("content", "--repo", url)
	require.Equal(t, exitUsage, status)
	require.Contains(t, message, "good.rpm: its sha256 is")

	other, err := sign.Generate(sign.Params{Name: "Other", Email: "test@example.org"})
	require.NoError(t, err)
	otherFile := filepath.Join(t.TempDir(), "other.asc")
	require.NoError(t, os.WriteFile(otherFile, other.PublicKey(), 0o644))
	status, out, _ = validate("signatures", "--repo", dir, "--key", otherFile)
	require.Equal(t, exitFailed, status)
	for _, want := range []string{"x86_64/bad.rpm: rpmkeys: ", "NOKEY", "repodata/repomd.xml: gpg: ", "repodata/repomd.xml: ohpc-build: "} {
		require.Contains(t, out, want)
	}
}

func TestValidateInstalls(t *testing.T) {
	testenv.Integration(t)
	testenv.Root(t)
	testenv.Programs(t, "runc", "rpmkeys")
	key, err := sign.Generate(sign.Params{Name: "Ours", Email: "test@example.org"})
	require.NoError(t, err)
	keyFile := filepath.Join(t.TempDir(), "key.asc")
	require.NoError(t, os.WriteFile(keyFile, key.PublicKey(), 0o644))
	lib := write.Package{Name: "lib", Arch: "noarch", Files: []write.File{{Path: "/opt/lib", Data: []byte("x")}}}
	app := write.Package{Name: "app", Arch: "noarch", Requires: []rpm.Dependency{{Name: "lib"}}, Files: []write.File{{Path: "/opt/app", Data: []byte("x")}}}
	base, baseURL := signedRepository(t, key, lib)
	dir, url := signedRepository(t, key, app)
	out := t.TempDir()
	validate := func(args ...string) (int, string, string) {
		all := []string{"--state", testenv.State(t), "--out", out, "--progress", "none", "--target", "Debian_12", "--arch", "x86_64", "validate"}
		return run(t, append(append(all, args...), "--key", keyFile)...)
	}
	status, text, message := validate("install", "--repo", dir)
	require.Equal(t, exitFailed, status, message)
	require.Contains(t, text, "install of app with dnf: fail")
	require.Contains(t, text, "nothing provides lib")
	require.Contains(t, text, "install of app with zypper: fail")
	// One that is not signed is refused for all of its packages, which is told once.
	unsigned, _ := signedRepository(t, key, lib, app)
	require.NoError(t, os.Remove(filepath.Join(unsigned, rpmmd.RepomdFile+".asc")))
	status, text, _ = validate("install", "--repo", unsigned)
	require.Equal(t, exitFailed, status)
	require.Equal(t, 1, strings.Count(text, "dnf does not accept the repository"), text)
	require.Contains(t, text, "  for the same reason as install of app with dnf\n")
	require.NoFileExists(t, filepath.Join(out, "validate", "matrix.json"), "only all of them make a report")

	recipes := testedCatalog(t)
	status, text, message = validate("all", "--repo", url, "--base", baseURL, "--catalog", recipes)
	require.Equal(t, exitOK, status, text+message)
	for _, check := range []string{"closure", "signatures", "content", "install", "upgrade", "suite"} {
		require.Contains(t, text, check)
	}
	require.Contains(t, text, "8 checks passed (0 reused), 0 failed, 1 skipped")
	require.Contains(t, text, "suite of app more.bats was skipped: it needs absent, which neither the repository nor the image has")
	require.FileExists(t, filepath.Join(out, "validate", "matrix.json"))
	require.FileExists(t, filepath.Join(out, "validate", "junit.xml"))
	require.Contains(t, text, "report: "+filepath.Join(out, "validate", "index.html"))
	require.NoDirExists(t, filepath.Join(out, "report"), "that is of runs of matrix")
	status, text, message = run(t, "report", "--dir", filepath.Join(out, "validate"))
	require.Equal(t, exitOK, status, message)
	require.Contains(t, text, "8 checks passed")

	status, text, message = validate("upgrade", "--from", base, "--repo", dir, "--base", base)
	require.Equal(t, exitOK, status, text+message)
	status, _, message = validate("upgrade", "--repo", dir)
	require.Equal(t, exitUsage, status)
	require.Contains(t, message, "--from names the repository")

	// The recipe's tests are run on what others made, and what has none is told.
	status, text, message = validate("suite", "--repo", base, "--catalog", recipes)
	require.Equal(t, exitOK, status, text+message)
	require.Contains(t, text, "Debian_12/x86_64: suite of packages without tests: skip")
	require.Contains(t, text, "no recipe of the catalogue has tests for lib")
	wrong, _ := signedRepository(t, key, lib, write.Package{Name: "app", Arch: "noarch", Files: []write.File{{Path: "/opt/app", Data: []byte("wrong")}}})
	status, text, message = validate("suite", "--repo", wrong, "--catalog", recipes)
	require.Equal(t, exitFailed, status, text+message)
	require.Contains(t, text, "suite of app app.bats: fail")
	require.Contains(t, text, "1 of 1 tests failed")
}

// testedCatalog is a catalogue with a recipe for app that has tests.
func testedCatalog(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	target, err := fs.ReadFile(catalog.FS(), "targets/Debian_12.yaml")
	require.NoError(t, err)
	for name, text := range map[string]string{
		"catalog.yaml":                 "release: \"3\"\nversion: \"3\"\ndate: 2024-10-21\nurl: https://example.org\n",
		"targets/Debian_12.yaml":       string(target),
		"components/t/app/recipe.yaml": "name: app\nkind: component\ngroup: t\nsummary: A test\ntests:\n  - {script: tests/app.bats, packages: [gcc]}\n  - {script: tests/more.bats, packages: [absent]}\n",
		"components/t/app/SPECS/app.spec": "Name: app\nVersion: 7\nRelease: 1\nSummary: A test\nLicense: MIT\nBuildArch: noarch\n%description\nA test.\n%files\n" +
			"%changelog\n* Mon Oct 21 2024 ohpc-build - 7-1\n- First version\n",
		"components/t/app/tests/app.bats":  "@test 'it is there' { grep -x x /opt/app; }\n",
		"components/t/app/tests/more.bats": "@test 'with more' { true; }\n",
	} {
		at := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(at), 0o755))
		require.NoError(t, os.WriteFile(at, []byte(text), 0o644))
	}
	return dir
}

func TestValidatePackagesUsage(t *testing.T) {
	dir := published(t)
	key, err := sign.Generate(sign.Params{Name: "Ours", Email: "test@example.org"})
	require.NoError(t, err)
	keyFile := filepath.Join(t.TempDir(), "key.asc")
	require.NoError(t, os.WriteFile(keyFile, key.PublicKey(), 0o644))
	for name, tc := range map[string]struct {
		args []string
		want string
	}{
		"no repository":  {[]string{"content"}, "name the repository to check with --repo"},
		"no metadata":    {[]string{"content", "--repo", t.TempDir()}, "name the folder that holds repodata"},
		"unknown format": {[]string{"content", "--repo", dir, "--format", "xml"}, "--format is text or json"},
		"an argument":    {[]string{"signatures", dir}, "takes no argument"},
		"no key there":   {[]string{"signatures", "--repo", dir, "--key", "absent"}, "--key names the file with the public key to trust: open absent"},
		"no key in it":   {[]string{"signatures", "--repo", dir, "--key", filepath.Join(dir, "repodata", "repomd.xml")}, "repomd.xml: reading public keys: it is no armored OpenPGP key"},
		"no such folder": {[]string{"content", "--repo", "/absent"}, "--repo: opening the repository: lstat /absent: no such file or directory; name the folder"},
		"no server":      {[]string{"content", "--repo", "http://127.0.0.1:1/x"}, "connection refused; is the address right"},
		"no older one":   {[]string{"upgrade", "--repo", dir, "--from", t.TempDir(), "--key", keyFile}, "--from: opening the repository: "},
		"a wrong word":   {[]string{"instal", "--repo", dir}, `unknown command "instal" (did you mean "install"?): ohpc-build validate --help`},
		"unknown target": {[]string{"content", "--repo", dir, "--target", "EL_1"}, `"EL_1"`},
	} {
		t.Run(name, func(t *testing.T) {
			status, _, message := run(t, append([]string{"validate"}, tc.args...)...)
			require.Equal(t, exitUsage, status, message)
			require.Contains(t, message, tc.want)
		})
	}
}
