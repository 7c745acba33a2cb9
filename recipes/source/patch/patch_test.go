package patch_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/recipes/source/patch"
)

// repository is one that the real git keeps.
type repository struct {
	*testing.T
	dir string
}

func tool(t *testing.T, name string) {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		if os.Getenv("CI") == "true" {
			require.NoError(t, err)
		}
		t.Skipf("%s is not installed: %v", name, err)
	}
}

func newRepository(t *testing.T) *repository {
	t.Helper()
	tool(t, "git")
	r := &repository{t, t.TempDir()}
	r.git("init", "--quiet", "--initial-branch=main")
	return r
}

func (r *repository) git(args ...string) string {
	r.Helper()
	return run(r.T, r.dir, "", "git", args...)
}

// run executes a tool as nobody in particular, whatever the machine's user has
// configured.
func run(t *testing.T, dir, stdin, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = dir
	cmd.Stdin = strings.NewReader(stdin)
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null", "LC_ALL=C.UTF-8",
		"GIT_AUTHOR_NAME=Zoë O'Neil, Jr", "GIT_AUTHOR_EMAIL=zoe@example.org", "GIT_AUTHOR_DATE=2017-08-29T12:00:00+0200",
		"GIT_COMMITTER_NAME=c", "GIT_COMMITTER_EMAIL=c@example.org", "GIT_COMMITTER_DATE=2017-08-30T12:00:00+0200")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s %v: %s", name, args, out)
	return strings.TrimSpace(string(out))
}

func (r *repository) write(name, text string) {
	r.Helper()
	name = filepath.Join(r.dir, name)
	require.NoError(r, os.MkdirAll(filepath.Dir(name), 0o755))
	require.NoError(r, os.WriteFile(name, []byte(text), 0o644))
}

func (r *repository) commit(message string) string {
	r.Helper()
	r.git("add", "--all")
	r.git("commit", "--quiet", "--allow-empty", "--message", message)
	return r.git("rev-parse", "HEAD")
}

// patch is what the package writes of a commit.
func (r *repository) patch(hash string) (string, error) {
	r.Helper()
	repo, err := git.PlainOpen(r.dir)
	require.NoError(r, err)
	commit, err := repo.CommitObject(plumbing.NewHash(hash))
	require.NoError(r, err)
	var b bytes.Buffer
	err = patch.Write(r.Context(), &b, commit)
	return b.String(), err
}

// listing is a tree's content with modes, as git sees it.
func listing(t *testing.T, dir string) string {
	t.Helper()
	run(t, dir, "", "git", "add", "--all")
	return run(t, dir, "", "git", "write-tree")
}

func numbered(from, to int) string {
	var b strings.Builder
	for i := from; i <= to; i++ {
		b.WriteString(strings.Repeat("line ", i%3+1))
		b.WriteString(strings.Repeat("x", i))
		b.WriteByte('\n')
	}
	return b.String()
}

// Each case changes a folder. The patch of that change, applied by each tool to
// the folder as it was, makes it the same as the commit's tree.
func TestToolsApplyIt(t *testing.T) {
	tool(t, "patch")
	tests := map[string]func(r *repository){
		"changed lines": func(r *repository) {
			r.write("long", strings.Replace(numbered(1, 60), numbered(20, 22), "new\nlines\n", 1))
		},
		"two places":           func(r *repository) { r.write("long", "first\n"+numbered(2, 40)+"in between\n"+numbered(41, 59)) },
		"near places":          func(r *repository) { r.write("long", numbered(1, 20)+"a\n"+numbered(21, 26)+"b\n"+numbered(28, 60)) },
		"everything":           func(r *repository) { r.write("long", "not\nthe\nsame\n") },
		"emptied":              func(r *repository) { r.write("long", "") },
		"new file":             func(r *repository) { r.write("new/deep/file", "a\nb\n") },
		"new empty file":       func(r *repository) { r.write("new", "") },
		"deletion":             func(r *repository) { require.NoError(r, os.Remove(filepath.Join(r.dir, "long"))) },
		"rename":               func(r *repository) { r.git("mv", "long", "renamed") },
		"rename with a change": func(r *repository) { r.git("mv", "long", "renamed"); r.write("renamed", numbered(1, 59)) },
		"mode":                 func(r *repository) { require.NoError(r, os.Chmod(filepath.Join(r.dir, "script"), 0o755)) },
		"mode and content": func(r *repository) {
			r.write("script", "#!/bin/bash\n")
			require.NoError(r, os.Chmod(filepath.Join(r.dir, "script"), 0o755))
		},
		"newline lost":    func(r *repository) { r.write("short", "a\nb") },
		"newline gained":  func(r *repository) { r.write("bare", "no newline\n") },
		"newline without": func(r *repository) { r.write("bare", "still no newline") },
		"new link":        func(r *repository) { require.NoError(r, os.Symlink("long", filepath.Join(r.dir, "link2"))) },
		"link retargeted": func(r *repository) {
			require.NoError(r, os.Remove(filepath.Join(r.dir, "link")))
			require.NoError(r, os.Symlink("long", filepath.Join(r.dir, "link")))
		},
		"link to file": func(r *repository) {
			require.NoError(r, os.Remove(filepath.Join(r.dir, "link")))
			r.write("link", "a file\n")
		},
		"blank in name": func(r *repository) { r.write("a name/with blanks", "x\n"); r.write("blank name", "changed\n") },
		"strange names": func(r *repository) { r.write("é", "x\n"); r.write(`q"uote`, "x\n"); r.write(`back\slash`, "x\n") },
		"text of a patch": func(r *repository) {
			r.write("short", "--- a/long\n+++ b/long\n@@ -1 +1 @@\n-x\n+y\n-- \nFrom 0 Mon\n")
		},
		"Latin-1": func(r *repository) { r.write("short", "caf\xe9\n") },
	}
	for name, change := range tests {
		t.Run(name, func(t *testing.T) {
			r := newRepository(t)
			r.write("long", numbered(1, 60))
			r.write("short", "a\nb\n")
			r.write("bare", "no newline")
			r.write("script", "#!/bin/sh\n")
			r.write("blank name", "x\n")
			r.write("dir/file", "x\n")
			require.NoError(t, os.Symlink("short", filepath.Join(r.dir, "link")))
			r.commit("before")
			change(r)
			hash := r.commit("A change — of \"something\"\n\ndiff --git a/short b/short\n--- a/short\n+++ b/short\n@@ -1 +1 @@\n-a\n+evil\n")
			want := r.git("rev-parse", "HEAD^{tree}")

			text, err := r.patch(hash)
			require.NoError(t, err)
			for tool, args := range map[string][]string{
				"patch": {"-p1", "--silent", "--fuzz=0", "--no-backup-if-mismatch"},
				"apply": {"apply"},
				"am":    {"am", "--quiet"},
			} {
				r.git("checkout", "--quiet", "--force", "--detach", hash+"^")
				r.git("clean", "--quiet", "-fdx")
				command := "git"
				if tool == "patch" {
					command = "patch"
				}
				run(t, r.dir, text, command, args...)
				require.Equal(t, want, listing(t, r.dir), "%s of\n%s", tool, text)
				if tool == "am" {
					require.Equal(t, "Zoë O'Neil, Jr <zoe@example.org> 2017-08-29 12:00:00 +0200 A change — of \"something\"",
						r.git("log", "-1", "--format=%an <%ae> %ai %s"))
				}
			}
		})
	}
}

func TestRefused(t *testing.T) {
	tests := map[string]struct {
		make func(r *repository) string
		want string
	}{
		"root": {func(r *repository) string { return r.git("rev-parse", "HEAD") }, "it is the first commit of its history"},
		"merge": {func(r *repository) string {
			r.git("checkout", "--quiet", "-b", "side")
			r.write("side", "x\n")
			r.commit("side")
			r.git("checkout", "--quiet", "main")
			r.write("main", "x\n")
			r.commit("main")
			r.git("merge", "--quiet", "--no-edit", "side")
			return r.git("rev-parse", "HEAD")
		}, "it is a merge of 2 commits: name the commits that it merged"},
		"empty":  {func(r *repository) string { return r.commit("nothing") }, "it changes no file"},
		"binary": {func(r *repository) string { r.write("logo", "GIF\x00"); return r.commit("logo") }, "logo: it is a binary file, which patch(1) cannot change: put it into SOURCES/"},
		"binary that goes": {func(r *repository) string {
			r.write("logo", "GIF\x00")
			r.commit("logo")
			require.NoError(r, os.Remove(filepath.Join(r.dir, "logo")))
			return r.commit("no logo")
		}, "logo: it is a binary file"},
		"file for a folder": {func(r *repository) string {
			r.write("dir/file", "x\n")
			r.commit("dir")
			require.NoError(r, os.RemoveAll(filepath.Join(r.dir, "dir")))
			r.write("dir", "a file\n")
			return r.commit("no dir")
		}, "dir: a file takes the place of a folder"},
		"folder for a file": {func(r *repository) string {
			require.NoError(r, os.Remove(filepath.Join(r.dir, "short")))
			r.write("short/deep/file", "x\n")
			return r.commit("dir")
		}, "short: a file takes the place of a folder"},
		"submodule": {func(r *repository) string {
			r.git("update-index", "--add", "--cacheinfo", "160000,"+r.git("rev-parse", "HEAD")+",sub")
			r.git("commit", "--quiet", "--message", "sub")
			return r.git("rev-parse", "HEAD")
		}, "sub: it is a submodule, which a patch cannot change"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r := newRepository(t)
			r.write("short", "a\n")
			r.commit("first")
			_, err := r.patch(tt.make(r))
			require.ErrorContains(t, err, tt.want)
		})
	}
}

// The header is of one form, whatever a stranger writes into a commit.
func TestHeader(t *testing.T) {
	r := newRepository(t)
	r.write("short", "a\n")
	r.commit("first")
	r.write("short", "b\n")
	hash := r.commit(strings.Repeat("ü", 300) + "\r--- a/evil")
	text, err := r.patch(hash)
	require.NoError(t, err)
	head, _, ok := strings.Cut(text, "\n---\n\ndiff --git a/short b/short\nindex ")
	require.True(t, ok, text)
	require.NotContains(t, head, "\r")
	require.NotContains(t, head, "evil")
	require.True(t, strings.HasPrefix(head, "From "+hash+" Mon Sep 17 00:00:00 2001\nFrom: =?utf-8?b?Wm/DqyBPJ05laWwsIEpy?= <zoe@example.org>\nDate: Tue, 29 Aug 2017 12:00:00 +0200\nSubject: [PATCH] =?utf-8?q?"), head)

	again, err := r.patch(hash)
	require.NoError(t, err)
	require.Equal(t, text, again)
}
