package source_test

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cgi" //nolint:gosec // serves a repository of the test to the test
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"
	"github.com/ulikunitz/xz"

	"github.com/ohpc-build/ohpc-build/internal/store"
	"github.com/ohpc-build/ohpc-build/recipes"
	"github.com/ohpc-build/ohpc-build/recipes/source"
)

// work is a folder with one of everything.
func work(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "work")
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "src", "deep"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "README"), []byte("read me\n"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "configure"), []byte("#!/bin/sh\n"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "src", "deep", "a.c"), []byte("int a;\n"), 0o644))
	require.NoError(t, os.Symlink("deep/a.c", filepath.Join(dir, "src", "link.c")))
	return dir
}

// entries lists an archive as "mode name -> content".
func entries(t *testing.T, r io.Reader) (list []string, times map[time.Time]bool) {
	t.Helper()
	times = map[time.Time]bool{}
	tr := tar.NewReader(r)
	for {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return list, times
		}
		require.NoError(t, err)
		data, err := io.ReadAll(tr)
		require.NoError(t, err)
		list = append(list, fmt.Sprintf("%o %s %s%s", h.Mode, h.Name, h.Linkname, data))
		times[h.ModTime.UTC()] = true
		require.Zero(t, h.Uid+h.Gid)
		require.Empty(t, h.Uname+h.Gname)
	}
}

func open(t *testing.T, st *store.Store, d store.Digest) io.ReadCloser {
	t.Helper()
	r, err := st.Open(d)
	require.NoError(t, err)
	t.Cleanup(func() { r.Close() })
	return r
}

func TestFolder(t *testing.T) {
	dir := work(t)
	require.NoError(t, os.MkdirAll(filepath.Join(dir, ".git"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, ".git", "HEAD"), nil, 0o644))
	want := []string{
		"644 w-1/README read me\n",
		"755 w-1/configure #!/bin/sh\n",
		"755 w-1/src/ ",
		"755 w-1/src/deep/ ",
		"644 w-1/src/deep/a.c int a;\n",
		"777 w-1/src/link.c deep/a.c",
	}
	f, st := newFetcher(t, source.WithLocal(filepath.Dir(dir)))
	for name, decompress := range map[string]func(io.Reader) (io.Reader, error){
		"w.tar":     func(r io.Reader) (io.Reader, error) { return r, nil },
		"w.tar.gz":  func(r io.Reader) (io.Reader, error) { return gzip.NewReader(r) },
		"w.tar.xz":  func(r io.Reader) (io.Reader, error) { return xz.NewReader(r) },
		"w.tar.zst": func(r io.Reader) (io.Reader, error) { return zstd.NewReader(r) },
	} {
		s := recipes.Source{File: name, Folder: &recipes.Folder{Path: "work", Prefix: "w-1/"}}
		d, err := f.Fetch(t.Context(), s, nil)
		require.NoError(t, err)
		r, err := decompress(open(t, st, d))
		require.NoError(t, err)
		list, times := entries(t, r)
		require.Equal(t, want, list, name)
		require.Len(t, times, 1)

		// The same again, later, and copied to other times.
		require.NoError(t, os.Chtimes(filepath.Join(dir, "README"), time.Now(), time.Now()))
		again, err := f.Fetch(t.Context(), s, nil)
		require.NoError(t, err)
		require.Equal(t, d, again, name)
	}

	require.NoError(t, os.WriteFile(filepath.Join(dir, "README"), []byte("changed\n"), 0o600))
	s := recipes.Source{File: "w.tar", SHA256: hexOf(content), Folder: &recipes.Folder{Path: dir, Prefix: "w-1"}}
	_, err := f.Fetch(t.Context(), s, nil)
	var mismatch *source.DigestError
	require.ErrorAs(t, err, &mismatch)
}

func TestFolderIsGuarded(t *testing.T) {
	dir := work(t)
	secret := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.MkdirAll(secret, 0o700))
	root := filepath.Dir(dir)
	require.NoError(t, os.Symlink(secret, filepath.Join(root, "way-out")))
	require.NoError(t, os.WriteFile(filepath.Join(root, "file"), nil, 0o644))

	tests := map[string]struct {
		path string
		opts []source.Option
		want string
	}{
		"not allowed at all": {"work", nil, "sources from this machine are not allowed"},
		"outside":            {secret, []source.Option{source.WithLocal(root)}, "from where sources may come"},
		"up and out":         {"../..", []source.Option{source.WithLocal(root)}, "from where sources may come"},
		"through a link":     {"way-out", []source.Option{source.WithLocal(root)}, "path escapes from parent"},
		"missing":            {"nothing", []source.Option{source.WithLocal(root)}, "no such file"},
		"a file":             {"file", []source.Option{source.WithLocal(root)}, "not a directory"},
		"too large":          {"work", []source.Option{source.WithLocal(root), source.WithMaxSize(10)}, "larger than the limit"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			f, _ := newFetcher(t, tt.opts...)
			for _, s := range []recipes.Source{
				{File: "w.tar", Folder: &recipes.Folder{Path: tt.path, Prefix: "w"}},
				{File: "w.tar", Git: &recipes.Git{URL: tt.path, Prefix: "w", Commit: "0123456789012345678901234567890123456789"}},
			} {
				_, err := f.Fetch(t.Context(), s, nil)
				if s.Git != nil && name == "too large" {
					continue // it is no repository at all
				}
				require.ErrorContains(t, err, tt.want)
				require.ErrorContains(t, err, tt.path+": ")
			}
		})
	}

	f, _ := newFetcher(t, source.WithLocal(root))
	_, err := f.Fetch(t.Context(), recipes.Source{File: "w.zip", Folder: &recipes.Folder{Path: "work", Prefix: "w"}}, nil)
	require.ErrorContains(t, err, "must end in .tar, .tar.gz, .tar.xz or .tar.zst, not .zip")
}

var committed = time.Date(2017, 8, 29, 10, 0, 0, 0, time.FixedZone("", 7200))

// repository commits the folder that work makes, and then changes a file in a
// second commit.
func repository(t *testing.T) (dir, first string) {
	t.Helper()
	dir = work(t)
	repo, err := git.PlainInit(dir, false)
	require.NoError(t, err)
	tree, err := repo.Worktree()
	require.NoError(t, err)
	commit := func() string {
		_, err = tree.Add(".")
		require.NoError(t, err)
		hash, err := tree.Commit("a commit", &git.CommitOptions{Author: &object.Signature{Name: "a", Email: "a@example.org", When: committed}})
		require.NoError(t, err)
		return hash.String()
	}
	first = commit()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "README"), []byte("the next version\n"), 0o644))
	commit()
	return dir, first
}

var wantCommit = []string{
	"644 w-1/README read me\n",
	"755 w-1/configure #!/bin/sh\n",
	"755 w-1/src/ ",
	"755 w-1/src/deep/ ",
	"644 w-1/src/deep/a.c int a;\n",
	"777 w-1/src/link.c deep/a.c",
}

func TestGitLocal(t *testing.T) {
	dir, first := repository(t)
	f, st := newFetcher(t, source.WithLocal(filepath.Dir(dir)))
	s := recipes.Source{File: "w.tar.gz", Git: &recipes.Git{URL: dir, Commit: first, Prefix: "w-1/"}}
	d, err := f.Fetch(t.Context(), s, nil)
	require.NoError(t, err)
	r, err := gzip.NewReader(open(t, st, d))
	require.NoError(t, err)
	require.True(t, r.ModTime.IsZero())
	list, times := entries(t, r)
	require.Equal(t, wantCommit, list)
	require.Equal(t, map[time.Time]bool{committed.UTC(): true}, times)
	again, err := f.Fetch(t.Context(), s, nil)
	require.NoError(t, err)
	require.Equal(t, d, again)

	s.Git.Commit = "0123456789012345678901234567890123456789"
	_, err = f.Fetch(t.Context(), s, nil)
	require.ErrorContains(t, err, dir+": reading commit 0123456789012345678901234567890123456789: object not found")
}

// A commit that is no branch's newest is fetched over HTTP, from a server that
// gives single commits and from one that does not.
func TestGitRemote(t *testing.T) {
	dir, first := repository(t)
	backend := filepath.Join(gitExecPath(t), "git-http-backend")
	for name, single := range map[string]string{"single commits": "true", "branches only": "false"} {
		t.Run(name, func(t *testing.T) {
			require.NoError(t, exec.CommandContext(t.Context(), "git", "-C", dir, "config", "uploadpack.allowReachableSHA1InWant", single).Run())
			web := httptest.NewServer(&cgi.Handler{
				Path: backend,
				Env: []string{
					"GIT_PROJECT_ROOT=" + dir, "GIT_HTTP_EXPORT_ALL=1",
					"GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=safe.directory", "GIT_CONFIG_VALUE_0=*",
				},
			})
			defer web.Close()
			f, st := newFetcher(t)
			d, err := f.Fetch(t.Context(), recipes.Source{File: "w.tar", Git: &recipes.Git{URL: web.URL + "/.git", Commit: first, Prefix: "w-1"}}, nil)
			require.NoError(t, err)
			list, _ := entries(t, open(t, st, d))
			require.Equal(t, wantCommit, list)
		})
	}

	web := httptest.NewServer(http.NotFoundHandler())
	defer web.Close()
	f, _ := newFetcher(t)
	_, err := f.Fetch(t.Context(), recipes.Source{File: "w.tar", Git: &recipes.Git{URL: web.URL, Commit: first, Prefix: "w-1"}}, nil)
	require.ErrorContains(t, err, web.URL+": fetching the commit: ")
}

// An address must not name a program, as git's own ext:: does.
func TestGitAddresses(t *testing.T) {
	f, _ := newFetcher(t, source.WithLocal(t.TempDir()))
	for _, address := range []string{"ext::sh -c id", "file:///etc", "ftp://example.org/x"} {
		_, err := f.Fetch(t.Context(), recipes.Source{File: "w.tar", Git: &recipes.Git{URL: address, Commit: "0123456789012345678901234567890123456789", Prefix: "w"}}, nil)
		require.ErrorContains(t, err, "is not a", address)
	}
}

func gitExecPath(t *testing.T) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "git", "--exec-path").Output()
	if err != nil && os.Getenv("CI") != "true" {
		t.Skipf("git is not installed: %v", err)
	}
	require.NoError(t, err)
	return string(out[:len(out)-1])
}

// What a commit changed is fetched with its parent, made once, and then known.
func TestCommit(t *testing.T) {
	dir, first := repository(t)
	second := headOf(t, dir)
	s := recipes.Source{File: "fix.patch", Commit: &recipes.Commit{URL: dir, Commit: second}}
	f, st := newFetcher(t, source.WithLocal(filepath.Dir(dir)))
	want, err := f.Fetch(t.Context(), s, nil)
	require.NoError(t, err)
	text, err := io.ReadAll(open(t, st, want))
	require.NoError(t, err)
	require.Contains(t, string(text), "From "+second+" Mon Sep 17 00:00:00 2001\nFrom: a <a@example.org>\nDate: Tue, 29 Aug 2017 10:00:00 +0200\nSubject: [PATCH] a commit\n\n---\n\ndiff --git a/README b/README\n")
	require.Contains(t, string(text), "\n-read me\n+the next version\n")

	s.Commit.Commit = first
	_, err = f.Fetch(t.Context(), s, nil)
	require.ErrorContains(t, err, "commit "+first+": it is the first commit of its history")

	backend := filepath.Join(gitExecPath(t), "git-http-backend")
	for name, single := range map[string]string{"single commits": "true", "branches only": "false"} {
		t.Run(name, func(t *testing.T) {
			require.NoError(t, exec.CommandContext(t.Context(), "git", "-C", dir, "config", "uploadpack.allowReachableSHA1InWant", single).Run())
			web := httptest.NewServer(&cgi.Handler{
				Path: backend,
				Env: []string{
					"GIT_PROJECT_ROOT=" + dir, "GIT_HTTP_EXPORT_ALL=1",
					"GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=safe.directory", "GIT_CONFIG_VALUE_0=*",
				},
			})
			f, st := newFetcher(t)
			s := recipes.Source{File: "fix.patch", Commit: &recipes.Commit{URL: web.URL + "/.git", Commit: second}}
			d, err := f.Fetch(t.Context(), s, nil)
			require.NoError(t, err)
			require.Equal(t, want, d, "the same patch from everywhere")

			web.Close()
			d, err = f.Fetch(t.Context(), s, nil)
			require.NoError(t, err, "it is not fetched again")
			require.Equal(t, want, d)

			// A damaged one is made again, for which there is no server now.
			path, err := st.Path(d)
			require.NoError(t, err)
			require.NoError(t, os.Chmod(path, 0o644))
			require.NoError(t, os.WriteFile(path, []byte("damaged"), 0o644))
			_, err = f.Fetch(t.Context(), s, nil)
			require.ErrorContains(t, err, "source fix.patch cannot be fetched")
		})
	}
}

func headOf(t *testing.T, dir string) string {
	t.Helper()
	repo, err := git.PlainOpen(dir)
	require.NoError(t, err)
	head, err := repo.Head()
	require.NoError(t, err)
	return head.Hash().String()
}
