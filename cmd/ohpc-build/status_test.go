package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/matrix/report"
	"github.com/ohpc-build/ohpc-build/matrix/standing"
	"github.com/ohpc-build/ohpc-build/repo/channel"
	"github.com/ohpc-build/ohpc-build/repo/rpm/rpmtest"
	"github.com/ohpc-build/ohpc-build/repo/snapshot"
)

// note keeps a snapshot's standing: of x86_64, with what is missing.
func (tr *tried) note(t *testing.T, s snapshot.Snapshot, missing ...string) {
	t.Helper()
	c := standing.Cell{Arch: "x86_64", Status: report.Supported, Required: []string{"install"}, Missing: missing}
	if len(missing) > 0 {
		c.Status, c.Brief = report.TechPreview, "install: 1 failed"
	}
	d := standing.Document{Version: standing.Version, Release: s.Release, Target: s.Target, Snapshot: s.ID, Validated: time.Date(2026, 11, 22, 15, 0, 0, 0, time.UTC), Cells: []standing.Cell{c}}
	b, err := d.Encode()
	require.NoError(t, err)
	require.NoError(t, tr.Tree(channel.Options{}).Note(t.Context(), s.Target, s.ID, b))
}

func (tr *tried) noted(t *testing.T, s snapshot.Snapshot) []byte {
	t.Helper()
	b, err := tr.Tree(channel.Options{}).Standing(s.Target, s.ID)
	require.NoError(t, err)
	return b
}

func TestStatus(t *testing.T) {
	tr := newTree(t)
	status := func(args ...string) (int, string, string) {
		t.Helper()
		return run(t, append([]string{"status", "--out", tr.out}, args...)...)
	}
	made := func(version string) snapshot.Snapshot {
		return tr.MustMake(tr.Add(rpmtest.Simple("p", version, "1", "noarch"), ""))
	}
	good, bad := made("1"), made("2")
	tr.note(t, good)
	tr.note(t, bad, "install of p\x1b[2J with dnf")

	code, _, message := status()
	require.Equal(t, exitUsage, code)
	require.Contains(t, message, "nothing is published in channel release")

	tr.must(t, "publish", good.ID)
	code, out, _ := status()
	require.Equal(t, exitOK, code)
	require.Contains(t, out, "EL_9 3.2 release: 1 package in snapshot "+good.ID+", published 20")
	require.Contains(t, out, "\n  x86_64    supported, validated 2026-11-22 15:00:00\n")

	// What would not be supported any more is not published in release, but elsewhere.
	code, _, message = tr.repo(t, "publish", bad.ID)
	require.NotEqual(t, exitOK, code)
	require.Contains(t, message, "what is supported there would not be any more: EL_9/x86_64 (install of p")
	require.Contains(t, message, "--allow-tech-preview")
	tr.must(t, "publish", bad.ID, "--channel", "factory")
	_, out, _ = status("--channel", "factory")
	require.Contains(t, out, "\n  x86_64    tech preview, validated 2026-11-22 15:00:00\n            missing: install of p\uFFFD[2J with dnf\n")

	tr.must(t, "publish", bad.ID, "--allow-tech-preview")
	_, out, _ = status("--format", "json")
	var document struct {
		Version int
		Targets []struct {
			Snapshot string
			Status   *standing.Document
		}
	}
	require.NoError(t, json.Unmarshal([]byte(out), &document))
	require.Equal(t, bad.ID, document.Targets[0].Snapshot)
	require.Equal(t, report.TechPreview, document.Targets[0].Status.Cells[0].Status)

	tr.must(t, "rollback", "release")
	_, out, _ = status()
	require.Contains(t, out, "x86_64    supported")

	// An architecture that there is not is told, and not passed over.
	code, _, message = status("--arch", "x86_64", "--arch", "nope")
	require.Equal(t, exitUsage, code)
	require.Contains(t, message, "nothing is published there for --arch nope; it is for aarch64, x86_64")
	_, out, _ = status("--arch", "aarch64")
	require.Contains(t, out, "\n  aarch64   it was never validated\n")
	require.NotContains(t, out, "x86_64")
	_, out, _ = status("--arch", "aarch64", "--format", "json")
	require.Contains(t, out, `"architectures": [`)
	require.NotContains(t, out, "x86_64")

	// What another run tried is told with where that was.
	d, err := standing.Decode(tr.noted(t, good))
	require.NoError(t, err)
	d = d.CarryOver(standing.Document{Snapshot: bad.ID, Validated: d.Validated.Add(-time.Hour), Cells: []standing.Cell{{Arch: "aarch64", Status: report.Supported}}}, good.Arches, nil)
	b, err := d.Encode()
	require.NoError(t, err)
	require.NoError(t, tr.Tree(channel.Options{}).Note(t.Context(), good.Target, good.ID, b))
	_, out, _ = status()
	require.Contains(t, out, "\n  aarch64   supported, validated 2026-11-22 14:00:00 in snapshot "+bad.ID+"\n")

	// A cell that goes is lost, whatever else is allowed.
	tr.note(t, bad)
	code, _, message = tr.repo(t, "publish", bad.ID, "--allow-removal", "--allow-changed", "--allow-downgrade")
	require.Equal(t, exitFailed, code)
	require.Contains(t, message, "EL_9/aarch64 (it would be gone)")

	// What is damaged in one target is told beside the others.
	leap := tr.made("Leap_15", "1")
	tr.must(t, "publish", leap.ID)
	require.NoError(t, os.WriteFile(filepath.Join(tr.Spec.Root, "OpenHPC/3.2/Leap_15.status.json"), []byte("{"), 0o644))
	code, out, message = status()
	require.Equal(t, exitFailed, code)
	require.Contains(t, out, "EL_9 3.2 release")
	require.NotContains(t, out, "Leap_15")
	require.Contains(t, message, "OpenHPC/3.2/Leap_15.status.json in the folder of repositories: reading a status")
	code, _, message = status("--target", "Leap_15")
	require.Equal(t, exitFailed, code)
	require.Contains(t, message, "move it away")

	// Nobody has tried the third one.
	third := made("3")
	code, _, message = tr.repo(t, "publish", third.ID)
	require.NotEqual(t, exitOK, code)
	require.Contains(t, message, "EL_9/x86_64 (it was never validated)")
	tr.must(t, "publish", third.ID, "--channel", "factory")
	_, out, _ = status("--channel", "factory")
	require.Contains(t, out, "it was never validated")
}
