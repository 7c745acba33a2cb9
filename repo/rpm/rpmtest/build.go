package rpmtest

import (
	"embed"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

//go:embed specs
var specs embed.FS

// Build builds one of this package's specs (by name, without .spec) with
// rpmbuild for an architecture, in a folder of its own, and returns the paths
// of all packages it wrote, source package included, sorted. Nothing of it
// depends on the clock or the host.
func Build(t testing.TB, spec, arch string, args ...string) []string {
	t.Helper()
	text, err := specs.ReadFile("specs/" + spec + ".spec")
	if err != nil {
		t.Fatal(err)
	}
	return BuildText(t, string(text), arch, args...)
}

// BuildText is Build for a spec that the test brings along.
func BuildText(t testing.TB, spec, arch string, args ...string) []string {
	t.Helper()
	top := t.TempDir()
	path := filepath.Join(top, "test.spec")
	if err := os.WriteFile(path, []byte(spec), 0o644); err != nil {
		t.Fatal(err)
	}
	writeSources(t, spec, filepath.Join(top, "SOURCES"))
	all := []string{
		"--nodeps", "-ba", "--target", arch,
		"--define", "_topdir " + top,
		"--define", "_tmppath " + top,
		"--define", "_dbpath " + filepath.Join(top, "db"),
		"--define", "_buildhost build.example",
		"--define", "_build_id_links none",
		"--define", "debug_package %{nil}",
		"--define", "__os_install_post %{nil}",
		"--define", "_invalid_encoding_terminates_build 0",
		"--define", "use_source_date_epoch_as_buildtime 1",
		"--define", "source_date_epoch_from_changelog 1",
		"--define", "clamp_mtime_to_source_date_epoch 1",
	}
	Run(t, "rpmbuild", append(append(all, args...), path)...)
	var packages []string
	for _, dir := range []string{"RPMS", "SRPMS"} {
		err := filepath.WalkDir(filepath.Join(top, dir), func(p string, _ fs.DirEntry, err error) error {
			if err == nil && strings.HasSuffix(p, ".rpm") {
				packages = append(packages, p)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	slices.Sort(packages)
	return packages
}

// writeSources makes a small file for each source and patch that a spec names.
func writeSources(t testing.TB, spec, dir string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(spec) {
		tag, value, ok := strings.Cut(line, ":")
		if !ok || !strings.HasPrefix(tag, "Source") && !strings.HasPrefix(tag, "Patch") {
			continue
		}
		name := filepath.Base(strings.TrimSpace(value))
		if err := os.WriteFile(filepath.Join(dir, name), []byte("source "+name+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// Varied builds packages that between them hold nearly everything that a
// package can: see the specs. It takes about a second.
func Varied(t testing.TB) []string {
	t.Helper()
	packages := Build(t, "kitchen", "x86_64")
	packages = append(packages, Build(t, "meta", "noarch")...)
	packages = append(packages, Build(t, "latin", "aarch64")...)
	return packages
}

// Wide builds packages with what Varied leaves out: every kind of trigger,
// compiled libraries and programs, files with capabilities and special modes,
// long lists of files and changes, and source packages without their sources. It
// takes a few seconds.
func Wide(t testing.TB) []string {
	t.Helper()
	return append(Build(t, "wide", "x86_64"), Build(t, "closed", "noarch")...)
}
