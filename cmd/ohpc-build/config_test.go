package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/recipes/catalog"
	"github.com/ohpc-build/ohpc-build/recipes/load"
	"github.com/ohpc-build/ohpc-build/repo/sign/keys"
)

// configOf reads a configuration of these lines.
func configOf(t *testing.T, text string) (*config, error) {
	t.Helper()
	t.Chdir(t.TempDir())
	require.NoError(t, os.WriteFile(defaultConfig, []byte(text), 0o644))
	return readConfig("")
}

func TestConfigTargets(t *testing.T) {
	tests := map[string]struct {
		in   string
		want []string // to work for
	}{
		"none":        {"release: \"3\"\n", []string{"Debian_12"}},
		"names":       {"targets: [Debian_12, EL_9]\n", []string{"Debian_12", "EL_9"}},
		"definitions": {"targets:\n  - name: EL_9\n    image: {reference: ./el9.tar}\n  - Leap_15\n", []string{"EL_9", "Leap_15"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			c, err := configOf(t, tt.in)
			require.NoError(t, err)
			cat, err := load.FS(catalog.FS())
			require.NoError(t, err)
			require.NoError(t, c.completeTargets(cat))
			require.Equal(t, tt.want, c.Targets)
			for _, name := range []string{"Debian_12", "EL_9", "Leap_15", "openEuler_22.03"} {
				_, err := cat.Target(name)
				require.NoError(t, err)
			}
			el, err := cat.Target("EL_9")
			require.NoError(t, err)
			if name == "definitions" {
				require.Equal(t, "./el9.tar", el.Image.Reference)
			}
			require.Equal(t, "Debian_12", el.Evaluate)
		})
	}
}

func TestConfigTargetProblems(t *testing.T) {
	for in, want := range map[string]string{
		"targets: EL_9\n":                       `ohpc-build.yaml:1:10: targets must be a list, not "EL_9"`,
		"targets: [{nmae: EL_9}]\n":             "ohpc-build.yaml:1:12: unknown key \"nmae\" (did you mean \"name\"?)\nohpc-build.yaml:1:12: \"name\" is missing in targets[0]",
		"targets: [{name: EL_9, macro: {}}]\n":  `ohpc-build.yaml:1:24: unknown key "macro" (did you mean "macros"?)`,
		"targets: [{name: EL_9, macros: []}]\n": "ohpc-build.yaml:1:32: targets[0].macros must be a mapping, not a list",
		"targets: [Debian_13]\n":                `ohpc-build.yaml:1:11: there is no target "Debian_13" (did you mean "Debian_12"?)`,
	} {
		c, err := configOf(t, in)
		if err == nil {
			cat, loadErr := load.FS(catalog.FS())
			require.NoError(t, loadErr)
			err = c.completeTargets(cat)
		}
		require.EqualError(t, err, want)
		var status *statusError
		require.ErrorAs(t, err, &status)
		require.Equal(t, exitUsage, status.status)
	}
}

func TestConfigKey(t *testing.T) {
	c, err := configOf(t, "key: {command: [sign, --slot, \"1\"], public-key: key.asc}\n")
	require.NoError(t, err)
	require.Equal(t, keys.Source{Command: []string{"sign", "--slot", "1"}, PublicKey: "key.asc"}, c.Key.source())
	for in, want := range map[string]string{
		"key: {file: a, agent: b}\n":       "ohpc-build.yaml: key: the signing key is in one place: file, agent or command",
		"key: {command: [a]}\n":            "ohpc-build.yaml: key: a command that signs needs public-key: the file of the key's public half",
		"key: {file: a, public-key: b}\n":  "ohpc-build.yaml: key: public-key belongs to a command that signs; with a file or gpg-agent the public half is known",
		"key: {command: sign, agnet: b}\n": "ohpc-build.yaml:1:16: key.command must be a list, not \"sign\"\nohpc-build.yaml:1:22: unknown key \"agnet\" (did you mean \"agent\"?)",
	} {
		_, err := configOf(t, in)
		require.EqualError(t, err, want)
	}
}

func TestConfigWithoutFile(t *testing.T) {
	t.Chdir(t.TempDir())
	c, err := readConfig("")
	require.NoError(t, err)
	cat, err := load.FS(catalog.FS())
	require.NoError(t, err)
	require.NoError(t, c.completeTargets(cat))
	require.Equal(t, []string{"Debian_12"}, c.Targets)

	_, err = readConfig(filepath.Join("no", "such.yaml"))
	require.ErrorContains(t, err, "reading the configuration")
}
