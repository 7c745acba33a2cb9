// Package testenv is what integration tests share: the decision whether a test
// that lacks a tool is skipped or fails, and the state folder in which heavy
// material, such as images, is made once and used by all.
package testenv

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Missing ends a test that cannot run here: it fails in CI, where everything has
// to be there, and is skipped with its reason elsewhere.
func Missing(t testing.TB, why string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(why)
	}
	t.Skip(why)
}

// Programs ends the test unless all programs are on the host.
func Programs(t testing.TB, names ...string) {
	t.Helper()
	for _, name := range names {
		if _, err := exec.LookPath(name); err != nil {
			Missing(t, name+" is not installed (sh ci/setup-host.sh installs what tests need)")
		}
	}
}

// Root ends the test unless it runs as root.
func Root(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		Missing(t, "containers need root")
	}
}

// Integration ends the test when only short ones are wanted (make unit).
func Integration(t testing.TB) {
	t.Helper()
	if testing.Short() {
		t.Skip("not a short test")
	}
}

// State is the state folder that tests share with each other and with the
// program: OHPC_BUILD_TEST_STATE, or the program's default.
func State(t testing.TB) string {
	t.Helper()
	if dir := os.Getenv("OHPC_BUILD_TEST_STATE"); dir != "" {
		return dir
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		Missing(t, "there is no cache folder: "+err.Error())
	}
	return filepath.Join(cache, "ohpc-build")
}
