package trial

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/builder/buildroot"
	"github.com/ohpc-build/ohpc-build/builder/sandbox"
	"github.com/ohpc-build/ohpc-build/internal/store"
	"github.com/ohpc-build/ohpc-build/matrix/report"
	"github.com/ohpc-build/ohpc-build/repo/snapshot"
)

// recorder notes commands and fails those that hold a word.
type recorder struct {
	commands []sandbox.Spec
	fail     string
}

func (r *recorder) Run(_ context.Context, s sandbox.Spec) error {
	r.commands = append(r.commands, s)
	line := strings.Join(s.Args, " ")
	if r.fail != "" && strings.Contains(line, r.fail) {
		_, _ = s.Stdout.Write([]byte("the reason is here\n"))
		return &sandbox.ExitError{Code: 1}
	}
	return nil
}

func (r *recorder) lines() []string {
	var lines []string
	for _, s := range r.commands {
		lines = append(lines, strings.Join(s.Args, " "))
	}
	return lines
}

func newTrial(t *testing.T, st *store.Store, sb Sandbox, cell *Cell) *Trial {
	t.Helper()
	dir := t.TempDir()
	return New(cell, st, sb, filepath.Join(dir, "work"), func(name string) (*os.File, error) {
		return os.Create(filepath.Join(dir, name))
	})
}

func cell() *Cell {
	return &Cell{
		Target: "Debian_12", Arch: "x86_64", Image: buildroot.Image{Digest: "sha256:1", Layers: []string{"/image"}},
		Required: []string{"install-dnf", "install-zypper", "test"}, Manager: "dnf",
		Snapshot: snapshot.Snapshot{ID: "one", Dir: "/snapshot", Release: "3"}, PublicKey: []byte("key"),
		Meta: []string{"ohpc-base"}, Packages: []string{"ohpc-base", "hwloc-ohpc"},
		Tests: []Test{{Subject: "hwloc lstopo.sh", Script: "lstopo.sh", Files: []File{{"lstopo.sh", []byte("true"), "sha256:2"}}, Packages: []string{"hwloc-ohpc"}, Limit: time.Minute}},
	}
}

func quiet(string)         {}
func quietEnd(_, _ string) {}

func TestWhatIsRun(t *testing.T) {
	st, err := store.Open(t.TempDir())
	require.NoError(t, err)
	r := &recorder{}
	rows, err := newTrial(t, st, r, cell()).Run(t.Context(), quiet, quietEnd)
	require.NoError(t, err)
	require.Len(t, rows, 3)
	for _, row := range rows {
		require.Equal(t, report.Pass, row.Result, row.Reason)
		require.False(t, row.Reused)
	}
	require.Equal(t, []string{
		"rpm --import /etc/pki/rpm-gpg/under-test.asc",
		"dnf --assumeyes install -- ohpc-base",
		"rpm --query --whatprovides -- ohpc-base",
		"rpm --import /etc/pki/rpm-gpg/under-test.asc",
		"zypper --non-interactive refresh --force",
		"zypper --non-interactive install --no-recommends -- ohpc-base",
		"rpm --query --whatprovides -- ohpc-base",
		"rpm --query --whatprovides -- hwloc-ohpc",
		"/bin/bash /tests/lstopo.sh",
	}, r.lines())
	test := r.commands[len(r.commands)-1]
	require.Equal(t, sandbox.None, test.Privileges, "a test has no rights")
	require.EqualValues(t, nobody, test.UID)
	require.False(t, test.Network)
	require.Len(t, test.Layers, 2, "the image and what was installed")
	require.NotEqual(t, r.commands[0].Upper, r.commands[3].Upper, "dnf and zypper each begin with the bare image")

	again := &recorder{}
	rows, err = newTrial(t, st, again, cell()).Run(t.Context(), quiet, quietEnd)
	require.NoError(t, err)
	require.Empty(t, again.commands)
	for _, row := range rows {
		require.True(t, row.Reused)
	}
}

func TestWhatMakesACheckRunAgain(t *testing.T) {
	for name, change := range map[string]func(*Cell){
		"another snapshot":     func(c *Cell) { c.Snapshot.ID = "two" },
		"another image":        func(c *Cell) { c.Image.Digest = "sha256:9" },
		"another architecture": func(c *Cell) { c.Arch = "aarch64" },
		"another test":         func(c *Cell) { c.Tests[0].Files[0].Digest = "sha256:9" },
		"another meta-package": func(c *Cell) { c.Meta = append(c.Meta, "ohpc-autotools") },
	} {
		t.Run(name, func(t *testing.T) {
			st, err := store.Open(t.TempDir())
			require.NoError(t, err)
			_, err = newTrial(t, st, &recorder{}, cell()).Run(t.Context(), quiet, quietEnd)
			require.NoError(t, err)
			c := cell()
			change(c)
			r := &recorder{}
			_, err = newTrial(t, st, r, c).Run(t.Context(), quiet, quietEnd)
			require.NoError(t, err)
			require.NotEmpty(t, r.commands)
		})
	}
}

func TestFailuresAreToldAndNotRemembered(t *testing.T) {
	st, err := store.Open(t.TempDir())
	require.NoError(t, err)
	for range 2 {
		r := &recorder{fail: "zypper --non-interactive install"}
		rows, err := newTrial(t, st, r, cell()).Run(t.Context(), quiet, quietEnd)
		require.NoError(t, err)
		require.Equal(t, report.Pass, rows[0].Result)
		require.Equal(t, report.Fail, rows[1].Result)
		require.Contains(t, rows[1].Reason, "the reason is here")
		require.Equal(t, report.Pass, rows[2].Result, "the others are tried all the same")
		require.NotEmpty(t, r.commands, "a failure is not taken from an earlier run")
	}
}

func TestAnInstallationThatTestsNeed(t *testing.T) {
	st, err := store.Open(t.TempDir())
	require.NoError(t, err)
	c := cell()
	c.Required = []string{"test"}
	r := &recorder{fail: "--whatprovides -- hwloc-ohpc"}
	rows, err := newTrial(t, st, r, c).Run(t.Context(), quiet, quietEnd)
	require.NoError(t, err)
	require.Equal(t, report.Fail, rows[0].Result)
	require.Contains(t, rows[0].Reason, "could not be installed")
	require.Contains(t, r.lines(), "dnf --assumeyes install -- hwloc-ohpc")
}
