package emulate

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

const goodEntry = "enabled\ninterpreter /usr/libexec/qemu\nflags: POF\noffset 0\nmagic 7f454c46\nmask ffffffff\n"

func TestEachFailureHasOneSentenceAndOneCommand(t *testing.T) {
	foreign := map[string]string{"x86_64": "aarch64", "aarch64": "x86_64"}[Host()]
	for name, tc := range map[string]struct {
		status, entry  string
		arch           string
		reason, remedy string
	}{
		"not mounted":    {reason: "binfmt_misc is not mounted", remedy: "sudo sh ci/setup-host.sh"},
		"switched off":   {status: "disabled\n", reason: "binfmt_misc is switched off", remedy: "echo 1 | sudo tee "},
		"not registered": {status: "enabled\n", reason: "no interpreter is registered", remedy: "sudo sh ci/setup-host.sh"},
		"entry off": {
			status: "enabled\n", entry: "disabled\ninterpreter /usr/libexec/qemu\nflags: F\n",
			reason: "is switched off", remedy: "echo 1 | sudo tee ",
		},
		"without F": {
			status: "enabled\n", entry: "enabled\ninterpreter /usr/libexec/qemu\nflags: OC\n",
			reason: "lacks the flag F, without which containers do not find /usr/libexec/qemu", remedy: "sudo sh ci/setup-host.sh",
		},
		"unknown": {arch: "riscv64", reason: "emulation of riscv64 is not supported", remedy: "ohpc-build matrix --arch"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if tc.status != "" {
				require.NoError(t, os.WriteFile(filepath.Join(dir, "status"), []byte(tc.status), 0o644))
			}
			arch := foreign
			if tc.arch != "" {
				arch = tc.arch
			}
			if tc.entry != "" {
				require.NoError(t, os.WriteFile(filepath.Join(dir, "qemu-"+arch), []byte(tc.entry), 0o644))
			}
			err := preflight(t.Context(), dir, arch)
			var problem *Problem
			require.ErrorAs(t, err, &problem)
			require.Contains(t, problem.Reason, tc.reason)
			require.Contains(t, problem.Remedy, tc.remedy)
			require.ErrorContains(t, err, "programs for "+arch+" do not run here: ")
		})
	}
}

func TestTheTrialProgramRuns(t *testing.T) {
	require.NoError(t, try(t.Context(), trialPrograms()[Host()]), "natively")
	broken := trialPrograms()[Host()]
	require.Error(t, try(t.Context(), broken[:100]))
}

func TestThisHost(t *testing.T) {
	require.NoError(t, Preflight(t.Context(), Host()))
	for arch := range trialPrograms() {
		if err := Preflight(t.Context(), arch); err != nil {
			if os.Getenv("CI") == "true" {
				t.Fatal(err)
			}
			t.Skip(err)
		}
	}
}

func TestReadEntry(t *testing.T) {
	path := filepath.Join(t.TempDir(), "entry")
	require.NoError(t, os.WriteFile(path, []byte(goodEntry), 0o644))
	e, err := readEntry(path)
	require.NoError(t, err)
	require.Equal(t, entry{enabled: true, interpreter: "/usr/libexec/qemu", flags: "POF"}, e)
}
