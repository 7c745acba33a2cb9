package repodata_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/matrix/repodata"
	"github.com/ohpc-build/ohpc-build/repo/rpm"
	"github.com/ohpc-build/ohpc-build/repo/rpm/rpmtest"
	"github.com/ohpc-build/ohpc-build/repo/rpmmd"
	"github.com/ohpc-build/ohpc-build/validate/closure"
)

// repository writes the metadata of crafted packages into a new folder.
func repository(t testing.TB, packages ...rpmtest.Craft) string {
	t.Helper()
	dir := t.TempDir()
	var entries []rpmmd.Entry
	for _, c := range packages {
		b := c.Bytes()
		p, err := rpm.Read(bytes.NewReader(b), int64(len(b)))
		require.NoError(t, err)
		digest := sha256.Sum256(b)
		entries = append(entries, rpmmd.Entry{Package: p, Location: p.Arch + "/" + p.FileName(), SHA256: hex.EncodeToString(digest[:])})
	}
	_, err := rpmmd.Write(t.Context(), dir, entries, rpmmd.Options{})
	require.NoError(t, err)
	return dir
}

// requiring are the header entries of requirements without versions.
func requiring(names ...string) []rpmtest.Entry {
	return []rpmtest.Entry{
		rpmtest.Texts(1049, names...),
		rpmtest.Int32s(1048, make([]uint32, len(names))...),
		rpmtest.Texts(1050, make([]string, len(names))...),
	}
}

// holding are the header entries of one ordinary file.
func holding(dir, base string) []rpmtest.Entry {
	return []rpmtest.Entry{
		rpmtest.Int32s(1116, 0), rpmtest.Texts(1117, base), rpmtest.Texts(1118, dir),
		rpmtest.Int32s(1028, 0), rpmtest.Int16s(1030, 0o100644), rpmtest.Int32s(1037, 0),
	}
}

func app() rpmtest.Craft {
	return rpmtest.Simple("app", "1", "1", "x86_64", requiring("lib", "/usr/share/lib/data", "(lib or nobody)", "absent")...)
}

func lib() rpmtest.Craft {
	return rpmtest.Simple("lib", "2", "1", "noarch", holding("/usr/share/lib/", "data")...)
}

func missing(ctx context.Context, tested, base string) ([]string, error) {
	t, err := repodata.Open(ctx, tested)
	if err != nil {
		return nil, err
	}
	b, err := repodata.Open(ctx, base)
	if err != nil {
		return nil, err
	}
	report, err := closure.Check(ctx, closure.Options{Tested: []closure.Repository{t}, Base: []closure.Repository{b}})
	if err != nil {
		return nil, err
	}
	var result []string
	for _, m := range report.Missing {
		result = append(result, m.Cell+" "+m.Package+" "+m.Requirement)
	}
	return result, nil
}

func TestFoldersAndURLs(t *testing.T) {
	tested, base := repository(t, app()), repository(t, lib())
	link := filepath.Join(t.TempDir(), "published")
	require.NoError(t, os.Symlink(tested, link))
	server := httptest.NewServer(http.StripPrefix("/el 9", http.FileServer(http.Dir(tested))))
	defer server.Close()
	for _, location := range []string{tested, link, "file://" + tested, "file://localhost" + link + "/", server.URL + "/el%209", server.URL + "/el%209/"} {
		got, err := missing(t.Context(), location, base)
		require.NoError(t, err, location)
		require.Equal(t, []string{"x86_64 app-1-1.x86_64 absent"}, got, location)
	}
	// Containers, into which a folder is mounted, have another current folder.
	t.Chdir(filepath.Dir(link))
	named, err := repodata.Open(t.Context(), filepath.Base(link))
	require.NoError(t, err)
	local, err := named.Local(t.Context(), t.TempDir(), nil)
	require.NoError(t, err)
	require.True(t, filepath.IsAbs(local), local)

	r, err := repodata.Open(t.Context(), strings.Replace(server.URL, "://", "://me:secret@", 1)+"/el%209")
	require.NoError(t, err)
	require.NotContains(t, r.String(), "secret")
}

// TestRealMetadata reads what createrepo_c wrote of what rpmbuild built.
func TestRealMetadata(t *testing.T) {
	rpmtest.Tool(t, "createrepo_c")
	dir := t.TempDir()
	for _, path := range rpmtest.Build(t, "kitchen", "x86_64") {
		b, err := os.ReadFile(path)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(dir, filepath.Base(path)), b, 0o644))
	}
	rpmtest.Run(t, "createrepo_c", "--quiet", dir)
	published, err := repodata.Open(t.Context(), dir)
	require.NoError(t, err)
	headers := &closure.List{Name: dir}
	paths, err := filepath.Glob(dir + "/*.rpm")
	require.NoError(t, err)
	for _, path := range paths {
		p, err := rpm.ReadFile(path)
		require.NoError(t, err)
		headers.Of = append(headers.Of, closure.FromHeader(p, path))
	}
	check := func(r closure.Repository) []string {
		report, err := closure.Check(t.Context(), closure.Options{Tested: []closure.Repository{r}})
		require.NoError(t, err)
		var result []string
		for _, m := range report.Missing {
			// Metadata tell libc's highest symbol version only, and no epoch from 0.
			if !strings.HasPrefix(m.Requirement, "libc.so.6") {
				result = append(result, m.Package+" "+strings.ReplaceAll(m.Requirement, " 0:", " "))
			}
		}
		return result
	}
	fromHeaders := check(headers)
	require.NotEmpty(t, fromHeaders)
	require.Equal(t, fromHeaders, check(published))
}

func TestHostileServers(t *testing.T) {
	tested := repository(t, app())
	files := http.FileServer(http.Dir(tested))
	primary, err := filepath.Glob(tested + "/repodata/*-primary.xml.gz")
	require.NoError(t, err)
	content, err := os.ReadFile(primary[0])
	require.NoError(t, err)
	for name, tc := range map[string]struct {
		handler http.HandlerFunc
		want    string
	}{
		"nothing there": {http.NotFound, `repodata/repomd.xml: the server says "404 Not Found"; name the folder that holds repodata`},
		"no repomd":     {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) }, "repomd.xml: reading repomd.xml"},
		"endless repomd": {func(w http.ResponseWriter, _ *http.Request) {
			for {
				if _, err := w.Write(bytes.Repeat([]byte(" "), 1<<16)); err != nil {
					return
				}
			}
		}, "it is larger than"},
		"loop": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, r.URL.Path, http.StatusFound)
		}, "more than 10 redirects"},
		"primary is gone": {func(w http.ResponseWriter, r *http.Request) {
			if strings.Contains(r.URL.Path, "primary") {
				http.NotFound(w, r)
				return
			}
			files.ServeHTTP(w, r)
		}, "if it was published anew a moment ago, try again"},
		"primary was changed": {func(w http.ResponseWriter, r *http.Request) {
			if strings.Contains(r.URL.Path, "primary") {
				_, _ = w.Write(append(bytes.Clone(content), "more"...))
				return
			}
			files.ServeHTTP(w, r)
		}, "-primary.xml.gz"},
		"primary is cut": {func(w http.ResponseWriter, r *http.Request) {
			if strings.Contains(r.URL.Path, "primary") {
				_, _ = w.Write(content[:len(content)/2])
				return
			}
			files.ServeHTTP(w, r)
		}, "unexpected EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(tc.handler)
			defer server.Close()
			_, err := missing(t.Context(), server.URL, tested)
			require.ErrorContains(t, err, tc.want)
			require.ErrorContains(t, err, server.URL)
		})
	}
}

func TestNoWayFromTLS(t *testing.T) {
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	req := httptest.NewRequest(http.MethodGet, plain.URL, http.NoBody)
	via := httptest.NewRequest(http.MethodGet, "https://example.org/", http.NoBody)
	require.ErrorContains(t, repodata.Redirect(req, []*http.Request{via}), "from https to http")
	require.NoError(t, repodata.Redirect(via, []*http.Request{req}))
}

func TestLocations(t *testing.T) {
	for location, want := range map[string]string{
		"ftp://example.org/el9":  "it can be a folder",
		"http:///el9":            "a URL has a host",
		"https://example.org/?a": "nothing after it",
		"http://exa mple.org":    "the URL cannot be read",
		"file://example.org/el9": "file:///",
		"file:relative":          "file:///",
		"absent":                 "no such file",
	} {
		_, err := repodata.Open(t.Context(), location)
		require.ErrorContains(t, err, want)
	}
	_, err := repodata.Open(t.Context(), t.TempDir())
	require.ErrorContains(t, err, "name the folder that holds repodata")
	dir := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(dir, rpmmd.RepomdFile), 0o755))
	_, err = repodata.Open(t.Context(), dir)
	require.ErrorContains(t, err, "is no file")
}

func TestWithoutPrimary(t *testing.T) {
	dir := repository(t, app())
	path := filepath.Join(dir, rpmmd.RepomdFile)
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, bytes.Replace(b, []byte(`type="primary"`), []byte(`type="primary_db"`), 1), 0o644))
	_, err = missing(t.Context(), dir, dir)
	require.ErrorContains(t, err, "repomd.xml names no primary data")
}

func TestInterrupted(t *testing.T) {
	dir := repository(t, app())
	r, err := repodata.Open(t.Context(), dir)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, r.Packages(ctx, nil), context.Canceled)
}
