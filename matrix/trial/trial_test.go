package trial

import (
	"bytes"
	"context"
	"errors"
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
	"github.com/ohpc-build/ohpc-build/repo/rpm"
	"github.com/ohpc-build/ohpc-build/repo/rpm/rpmtest"
	"github.com/ohpc-build/ohpc-build/repo/snapshot"
	"github.com/ohpc-build/ohpc-build/validate/suite"
)

// recorder notes commands and fails those that hold a word.
type recorder struct {
	commands []sandbox.Spec
	fail     string
	then     func() // is called with the first command
}

func (r *recorder) Run(_ context.Context, s sandbox.Spec) error {
	r.commands = append(r.commands, s)
	if r.then != nil {
		r.then()
	}
	line := strings.Join(s.Args, " ")
	if r.fail != "" && strings.Contains(line, r.fail) {
		_, _ = s.Stderr.Write([]byte("the reason is here\n"))
		return &sandbox.ExitError{Code: 1}
	}
	if strings.Contains(line, "--queryformat") {
		_, _ = s.Stdout.Write([]byte("0\n")) // how it ended, and nothing is installed
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
	trial := New(cell, st, sb, filepath.Join(dir, "work"), func(name string) (*os.File, error) {
		return os.Create(filepath.Join(dir, name))
	})
	// There is one package, of which the snapshot's name is all that ever changes.
	trial.tested = func(context.Context) ([]held, error) {
		b := rpmtest.Simple("hwloc-ohpc", "1", "1", "x86_64").Bytes()
		p, err := rpm.Read(bytes.NewReader(b), int64(len(b)))
		return []held{{p, cell.Snapshot.Dir}}, err
	}
	return trial
}

func cell() *Cell {
	return &Cell{
		Target: "Debian_12", Arch: "x86_64", Image: buildroot.Image{Digest: "sha256:1", Layers: []string{"/image"}},
		Required: []string{"suite"}, Managers: []string{"dnf", "zypper"},
		Snapshot: snapshot.Snapshot{ID: "one", Dir: "/snapshot", Release: "3"}, PublicKey: []byte("key"),
		Tests: []Test{{Subject: "hwloc lstopo.sh", Script: "lstopo.sh", Files: []File{{"lstopo.sh", []byte("true"), "sha256:2"}}, Packages: []string{"hwloc-ohpc"}, Limit: time.Minute}},
	}
}

func quiet(string)         {}
func quietEnd(_, _ string) {}

func run(t *testing.T, trial *Trial) []report.Check {
	t.Helper()
	rows, err := trial.Run(t.Context(), NewSlots(1), quiet, quietEnd)
	require.NoError(t, err)
	return rows
}

func TestATestsContainer(t *testing.T) {
	st, err := store.Open(t.TempDir())
	require.NoError(t, err)
	r := &recorder{}
	rows := run(t, newTrial(t, st, r, cell()))
	require.Len(t, rows, 1)
	require.Equal(t, report.Pass, rows[0].Result, rows[0].Reason)
	require.False(t, rows[0].Reused)
	lines := r.lines()
	require.Len(t, lines, 4)
	for i, want := range []string{
		"rpm --import /etc/pki/rpm-gpg/under-test-0.asc", "makecache",
		"install -- hwloc-ohpc", "/bin/bash /tests/lstopo.sh",
	} {
		require.Contains(t, lines[i], want)
	}
	test := r.commands[len(r.commands)-1]
	require.Equal(t, sandbox.None, test.Privileges, "a test has no rights")
	require.EqualValues(t, nobody, test.UID)
	require.False(t, test.Network)
	require.Len(t, test.Layers, 3, "the image, what was prepared and what was installed")
	require.Empty(t, test.Upper, "what a test changes is forgotten")

	again := &recorder{}
	rows = run(t, newTrial(t, st, again, cell()))
	require.Empty(t, again.commands)
	require.True(t, rows[0].Reused)
}

func TestWhatMakesACheckRunAgain(t *testing.T) {
	for name, change := range map[string]func(*Cell){
		"another build":        func(c *Cell) { c.Snapshot.ID, c.Snapshot.Dir = "two", "/two" },
		"a quarantine":         func(c *Cell) { c.Tests[0].Quarantine = []suite.Quarantine{{Reason: "r"}} },
		"another image":        func(c *Cell) { c.Image.Digest = "sha256:9" },
		"another architecture": func(c *Cell) { c.Arch = "aarch64" },
		"another test":         func(c *Cell) { c.Tests[0].Files[0].Digest = "sha256:9" },
		"another package":      func(c *Cell) { c.Tests[0].Packages = append(c.Tests[0].Packages, "ohpc-autotools") },
		"another base":         func(c *Cell) { c.Base = &Tree{Dir: "/base", ID: "x"} },
		"nothing is believed":  func(c *Cell) { c.Fresh = true },
	} {
		t.Run(name, func(t *testing.T) {
			st, err := store.Open(t.TempDir())
			require.NoError(t, err)
			run(t, newTrial(t, st, &recorder{}, cell()))
			c := cell()
			change(c)
			r := &recorder{}
			run(t, newTrial(t, st, r, c))
			require.NotEmpty(t, r.commands)
		})
	}
}

// TestAnotherSnapshotOfTheSamePackages has nothing that a test could come out
// differently for.
func TestAnotherSnapshotOfTheSamePackages(t *testing.T) {
	st, err := store.Open(t.TempDir())
	require.NoError(t, err)
	first := run(t, newTrial(t, st, &recorder{}, cell()))
	c := cell()
	c.Snapshot.ID = "two"
	r := &recorder{}
	rows := run(t, newTrial(t, st, r, c))
	require.Empty(t, r.commands)
	require.True(t, rows[0].Reused)
	require.Equal(t, first[0].Cases, rows[0].Cases, "its tests are told again")
}

func TestFailuresAreToldAndNotRemembered(t *testing.T) {
	st, err := store.Open(t.TempDir())
	require.NoError(t, err)
	for range 2 {
		r := &recorder{fail: "lstopo.sh"}
		rows := run(t, newTrial(t, st, r, cell()))
		require.Equal(t, report.Fail, rows[0].Result)
		require.Contains(t, rows[0].Reason, "the reason is here")
		require.NotEmpty(t, r.commands, "a failure is not taken from an earlier run")
	}
}

func TestAnInstallationThatTestsNeed(t *testing.T) {
	for _, word := range []string{"makecache", "install -- hwloc-ohpc"} {
		st, err := store.Open(t.TempDir())
		require.NoError(t, err)
		rows := run(t, newTrial(t, st, &recorder{fail: word}, cell()))
		require.Equal(t, report.Fail, rows[0].Result)
		require.Contains(t, rows[0].Reason, "could not be installed")
		require.Contains(t, rows[0].Reason, "the reason is here")
	}
}

func TestInterruptedChecksAreNoResults(t *testing.T) {
	st, err := store.Open(t.TempDir())
	require.NoError(t, err)
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("enough")
	rows, err := newTrial(t, st, &recorder{then: func() { cancel(why) }}, cell()).Run(ctx, NewSlots(1), quiet, quietEnd)
	require.ErrorIs(t, err, why)
	require.Empty(t, rows)
}
