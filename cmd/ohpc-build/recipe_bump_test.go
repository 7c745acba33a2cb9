package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/stretchr/testify/require"
)

// bumping is a folder with a catalogue of two recipes of one tree, and that
// tree's repository.
type bumping struct {
	*testing.T
	dir  string
	git  *git.Repository
	work *git.Worktree
}

func newBumping(t *testing.T) *bumping {
	t.Helper()
	b := &bumping{T: t, dir: t.TempDir()}
	t.Chdir(b.dir)
	b.write("catalog/catalog.yaml", "release: \"3\"\nversion: \"3\"\ndate: 2024-10-21\nurl: https://example.org\n")
	b.write("catalog/targets/EL_9.yaml", "name: EL_9\nsummary: s\narchitectures: [x86_64]\nimage: {reference: example.org/el:9}\nmanagers: [dnf]\nchecks: [install-dnf]\n")
	for _, name := range []string{"warewulf-common", "warewulf-vnfs", "other"} {
		recipe := "name: " + name + "\nkind: component\ngroup: provisioning\nsummary: s\n"
		version := "1"
		if name != "other" {
			version = "%{pin_version}"
			recipe += "sources:\n  - file: warewulf3.tar.gz\n    git: {pin: warewulf, prefix: warewulf3}\n"
		}
		b.write("catalog/components/provisioning/"+name+"/recipe.yaml", recipe)
		b.write("catalog/components/provisioning/"+name+"/SPECS/"+name+".spec", "Name: "+name+"\nVersion: "+version+"\n")
	}
	b.write("catalog/pins/warewulf.yaml", "url: upstream # beside the catalogue\nbranch: development\n")
	var err error
	b.git, err = git.PlainInitWithOptions("upstream", &git.PlainInitOptions{
		InitOptions: git.InitOptions{DefaultBranch: "refs/heads/development"},
	})
	require.NoError(t, err)
	b.work, err = b.git.Worktree()
	require.NoError(t, err)
	return b
}

func (b *bumping) write(name, text string) {
	b.Helper()
	name = filepath.Join(b.dir, name)
	require.NoError(b, os.MkdirAll(filepath.Dir(name), 0o755))
	require.NoError(b, os.WriteFile(name, []byte(text), 0o644))
}

func (b *bumping) commit(message string, when time.Time) string {
	b.Helper()
	by := &object.Signature{Name: "a", Email: "a@example.org", When: when}
	hash, err := b.work.Commit(message, &git.CommitOptions{Author: by, Committer: by, AllowEmptyCommits: true})
	require.NoError(b, err)
	return hash.String()
}

func (b *bumping) tag(name, commit string) {
	b.Helper()
	_, err := b.git.CreateTag(name, plumbing.NewHash(commit), nil)
	require.NoError(b, err)
}

// run executes a command line where the catalogue is.
func (b *bumping) run(args ...string) (status int, stdout, message string) {
	b.Helper()
	root := newRoot()
	var out bytes.Buffer
	root.SetOut(&out)
	root.SetErr(&out)
	root.SetArgs(append([]string{"--state", filepath.Join(b.dir, "state"), "--catalog", "catalog", "--progress", "none"}, args...))
	err := root.ExecuteContext(b.Context())
	if err != nil {
		message = err.Error()
	}
	return exitStatus(b.Context(), err), out.String(), message
}

func TestRecipeBump(t *testing.T) {
	b := newBumping(t)
	morning := time.Date(2017, 8, 29, 9, 0, 0, 0, time.UTC)
	release := b.commit("Release 3.7", morning.AddDate(0, 0, -10))
	b.tag("v3.7", release)
	first := b.commit("Boot faster", morning)

	status, _, message := b.run("recipe", "lint", "--texts")
	require.Equal(t, exitUsage, status)
	require.Equal(t, "catalog/pins/warewulf.yaml: the pin has no lock yet (ohpc-build recipe bump warewulf writes it)", message)

	status, out, message := b.run("recipe", "bump", "warewulf-common")
	require.Equal(t, exitOK, status, message)
	require.Equal(t, "catalog/pins/warewulf.yaml: 3.7^git20170829."+first[:7]+"\n"+
		"commit "+first+" of 2017-08-29 09:00:00 UTC, 1 commit after v3.7\n"+
		"followed by warewulf-common, warewulf-vnfs\n", out)
	text, err := os.ReadFile("catalog/pins/warewulf.yaml")
	require.NoError(t, err)
	require.Equal(t, "url: upstream # beside the catalogue\nbranch: development\n"+
		"# Written by `ohpc-build recipe bump`, not to be edited.\n"+
		"lock:\n  commit: \""+first+"\"\n  date: \"2017-08-29T09:00:00Z\"\n  tag: \"v3.7\"\n  since: 1\n  total: 2\n  version: \"3.7^git20170829."+first[:7]+"\"\n", string(text))

	// The lock is what every recipe of the tree is built from.
	for _, name := range []string{"warewulf-common", "warewulf-vnfs"} {
		status, out, message = b.run("recipe", "show", name)
		require.Equal(t, exitOK, status, message)
		require.Contains(t, out, `%pin_commit="`+first+`" %pin_version="3.7^git20170829.`+first[:7]+`"`)
	}
	status, out, message = b.run("source", "fetch", "warewulf-vnfs")
	require.Equal(t, exitOK, status, message)
	require.Contains(t, out, "warewulf-vnfs  warewulf3.tar.gz  ")

	// A second snapshot of the day, by its hash, with what came between.
	second := b.commit("Boot \x1b[2Jeven faster", morning.Add(time.Hour))
	status, out, message = b.run("recipe", "bump", "warewulf", "--commit", second[:8])
	require.Equal(t, exitOK, status, message)
	require.Contains(t, out, "warewulf.yaml: 3.7^2.git20170829."+second[:7]+" (was 3.7^git20170829."+first[:7]+")\n")
	require.Contains(t, out, "\nUpstream log, 1 commit:\n  "+second[:7]+" 2017-08-29 Boot [2Jeven faster\n")
	status, out, message = b.run("recipe", "bump", "warewulf")
	require.Equal(t, exitOK, status, message)
	require.Contains(t, out, second[:7]+", as before\n")
	require.NotContains(t, out, "Upstream log")

	// Back again, and to a tag.
	status, out, message = b.run("recipe", "bump", "warewulf", "--ref", "v3.7")
	require.Equal(t, exitOK, status, message)
	require.Contains(t, out, "warewulf.yaml: 3.7 (was 3.7^2.git20170829."+second[:7]+")\n")
	require.Contains(t, out, "does not follow the old one: 2 commits left behind")

	// On the way to a release, the lock edited by hand.
	text, err = os.ReadFile("catalog/pins/warewulf.yaml")
	require.NoError(t, err)
	b.write("catalog/pins/warewulf.yaml", "next: \"3.8\"\n"+strings.Replace(string(text), release, first, 1))
	status, out, message = b.run("recipe", "bump", "warewulf", "--commit", first)
	require.Equal(t, exitOK, status, message)
	require.Contains(t, out, "warewulf.yaml: 3.8~git20170829."+first[:7]+", the same commit as before; the rest of the lock was not what the repository says")
	status, out, message = b.run("recipe", "lint", "--texts")
	require.Equal(t, exitOK, status, message)
	require.Contains(t, out, "nothing wrong")

	// The old commit is no longer there.
	text, err = os.ReadFile("catalog/pins/warewulf.yaml")
	require.NoError(t, err)
	b.write("catalog/pins/warewulf.yaml", strings.ReplaceAll(string(text), first[:7], "0000000"))
	status, out, message = b.run("recipe", "bump", "warewulf")
	require.Equal(t, exitOK, status, message)
	require.Contains(t, out, "No upstream log: repository upstream has no commit \"0000000")
}

func TestRecipeBumpMistakes(t *testing.T) {
	b := newBumping(t)
	b.commit("Begin", time.Date(2017, 8, 29, 9, 0, 0, 0, time.UTC))
	before, err := os.ReadFile("catalog/pins/warewulf.yaml")
	require.NoError(t, err)
	for name, tc := range map[string]struct {
		args   []string
		status int
		want   string
	}{
		"nothing":        {nil, exitUsage, "recipe bump takes one recipe"},
		"both":           {[]string{"warewulf", "--ref", "a", "--commit", "b"}, exitUsage, "--ref and --commit exclude each other"},
		"unknown recipe": {[]string{"warewulf-comon"}, exitUsage, `there is no recipe "warewulf-comon" (did you mean "warewulf-common"?)`},
		"no pin":         {[]string{"other"}, exitUsage, "recipe other follows no source tree"},
		"unknown branch": {[]string{"warewulf", "--ref", "developmnt"}, exitUsage, `repository upstream has no branch or tag "developmnt" (did you mean "development"?)`},
		"unknown commit": {[]string{"warewulf", "--commit", "00000000"}, exitUsage, `repository upstream has no commit "00000000"`},
		"embedded":       {[]string{"warewulf", "--catalog", ""}, exitUsage, "the embedded catalogue cannot be changed: copy recipes/catalog"},
	} {
		t.Run(name, func(t *testing.T) {
			status, _, message := b.run(append([]string{"recipe", "bump"}, tc.args...)...)
			require.Equal(t, tc.status, status, message)
			require.Contains(t, message, tc.want)
		})
	}
	after, err := os.ReadFile("catalog/pins/warewulf.yaml")
	require.NoError(t, err)
	require.Equal(t, string(before), string(after))

	b.write("catalog/pins/warewulf.yaml", "url: upstream\n")
	status, _, message := b.run("recipe", "bump", "warewulf")
	require.Equal(t, exitUsage, status)
	require.Contains(t, message, "pin warewulf follows no branch: say where to with --ref or --commit, or write branch: into catalog/pins/warewulf.yaml")
	b.write("catalog/pins/warewulf.yaml", "url: ../elsewhere\nbranch: main\n")
	status, _, message = b.run("recipe", "bump", "warewulf")
	require.Equal(t, exitFailed, status)
	require.Contains(t, message, "repository ../elsewhere cannot be read: it is not in "+b.dir)
}
