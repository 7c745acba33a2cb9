package layout_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/repo/layout"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestParseChannel(t *testing.T) {
	for _, good := range []string{"release", "updates", "staging", "factory", "pr/1", "pr/123456789"} {
		c, err := layout.ParseChannel(good)
		require.NoError(t, err)
		require.Equal(t, layout.Channel(good), c)
	}
	for _, bad := range []string{"", "Release", "pr", "pr/", "pr/0", "pr/01", "pr/x", "pr/../release", "pr/1/2", "pr/1234567890", "../x", "release\n"} {
		_, err := layout.ParseChannel(bad)
		require.ErrorContains(t, err, "is no channel", bad)
	}
}

func TestPointerCheck(t *testing.T) {
	good := layout.Pointer{Release: "3.2", Channel: layout.Release, Target: "EL_9"}
	require.NoError(t, good.Check())
	for _, change := range []func(*layout.Pointer){
		func(p *layout.Pointer) { p.Release = ".." },
		func(p *layout.Pointer) { p.Channel = "other" },
		func(p *layout.Pointer) { p.Target = "a/b" },
		func(p *layout.Pointer) { p.Target = "Updates" },
		func(p *layout.Pointer) { p.Target = "pr" },
		func(p *layout.Pointer) { p.Target = "EL_9.mirrorlist" },
		func(p *layout.Pointer) { p.Target = "EL_9.Repo" },
		func(p *layout.Pointer) { p.Target = "EL_9.status.json" },
	} {
		bad := good
		change(&bad)
		require.Error(t, bad.Check(), bad)
	}
}

func TestMirrorlist(t *testing.T) {
	base, err := layout.ParseURL("https://example.org/my repos/")
	require.NoError(t, err)
	one, two := strings.Repeat("1", 32), strings.Repeat("2", 32)
	b := layout.MirrorlistFile(base, "EL_9", one, two)
	require.Equal(t, "https://example.org/my%20repos/snapshots/EL_9/"+one+"/\nhttps://example.org/my%20repos/snapshots/EL_9/"+two+"/\n", string(b))
	ids, err := layout.ParseMirrorlist(b, "EL_9")
	require.NoError(t, err)
	require.Equal(t, []string{one, two}, ids)
	for _, bad := range []string{
		"", "\n", "https://example.org/", strings.TrimSuffix(string(b), "\n"), "https://example.org/snapshots/EL_9/x/\n",
		"https://example.org/snapshots/EL_8/" + one + "/\n", "https://example.org/snapshots/EL_9/../" + one + "/\n", "%zz/\n",
	} {
		_, err := layout.ParseMirrorlist([]byte(bad), "EL_9")
		require.Error(t, err, bad)
	}
}

func TestClientFile(t *testing.T) {
	base, err := layout.ParseURL("https://example.org/my repos/")
	require.NoError(t, err)
	for name, p := range map[string]layout.Pointer{
		"release": {Release: "3.2", Channel: layout.Release, Target: "EL_9"},
		"pr":      {Release: "3.2", Channel: "pr/12", Target: "EL_9"},
	} {
		got, err := layout.ClientFile(base, p, "")
		require.NoError(t, err)
		golden := filepath.Join("testdata", name+".golden")
		if *update {
			require.NoError(t, os.MkdirAll("testdata", 0o755))
			require.NoError(t, os.WriteFile(golden, got, 0o644))
		}
		want, err := os.ReadFile(golden)
		require.NoError(t, err)
		require.Equal(t, string(want), string(got))
	}
	good := layout.Repo{ID: "a", Name: "b", BaseURL: "c", GPGKey: "d"}
	for want, change := range map[string]func(*layout.Repo){
		`"a]\n[b" cannot name a repository`: func(r *layout.Repo) { r.ID = "a]\n[b" },
		`has the value "x\ngpgcheck=0"`:     func(r *layout.Repo) { r.Name = "x\ngpgcheck=0" },
		`has the value "\r"`:                func(r *layout.Repo) { r.Mirrorlist = "\r" },
		`has the value ""`:                  func(r *layout.Repo) { r.GPGKey = "" },
	} {
		bad := good
		change(&bad)
		_, err := layout.RepoFile(bad)
		require.ErrorContains(t, err, want)
	}
}
