package serve_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/repo/serve"
)

// tree is a published tree as far as a server looks at it.
type tree struct {
	dir, url string
	log      *bytes.Buffer
	payload  []byte
}

func start(t *testing.T, options ...serve.Option) tree {
	t.Helper()
	top := t.TempDir()
	tr := tree{dir: filepath.Join(top, "repos"), log: &bytes.Buffer{}, payload: make([]byte, 5<<20)}
	_, err := rand.Read(tr.payload)
	require.NoError(t, err)
	for name, text := range map[string]string{
		"../secret":                 "not for the public",
		"journal/.hidden":           "own business",
		".lock":                     "own business",
		"OpenHPC/3/EL_9.mirrorlist": "https://far.example/OpenHPC/mirror/snapshots/EL_9/0123/\n",
		"snapshots/EL_9/0123/repodata/repomd.xml":         "<repomd/>\n",
		"snapshots/EL_9/0123/x86_64/big-1-1.x86_64.rpm":   string(tr.payload),
		"snapshots/EL_9/0123/RPM-GPG-KEY-OpenHPC-3":       "key\n",
		"snapshots/EL_9/0123/noarch/<script>x.noarch.rpm": "<",
		"snapshots/EL_9/0123/OpenHPC.repo": "[OpenHPC]\nmirrorlist=file:///srv/repos/OpenHPC/3/EL_9.mirrorlist\n" +
			"gpgkey=file:///srv/repos/OpenHPC/3/EL_9/RPM-GPG-KEY-OpenHPC-3\n  file:///etc/pki/rpm-gpg/RPM-GPG-KEY-OpenHPC-3\n",
	} {
		path := filepath.Join(tr.dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
	}
	require.NoError(t, os.Symlink("../../snapshots/EL_9/0123", filepath.Join(tr.dir, "OpenHPC", "3", "EL_9")))
	require.NoError(t, os.Symlink("../secret", filepath.Join(tr.dir, "out")))
	require.NoError(t, os.Symlink("/etc", filepath.Join(tr.dir, "etc")))
	handler, err := serve.Open(tr.dir, append([]serve.Option{serve.WithLog(slog.New(slog.NewTextHandler(tr.log, nil)))}, options...)...)
	require.NoError(t, err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- handler.Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-ended)
		require.NoError(t, handler.Close())
	})
	tr.url = "http://" + l.Addr().String()
	return tr
}

// ask makes a request of which nothing is made prettier on the way.
func (tr tree) ask(t *testing.T, method, path string, header ...string) (answer, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, tr.url, http.NoBody)
	require.NoError(t, err)
	req.URL.Opaque = path // as it is, dots and all
	for i := 0; i < len(header); i += 2 {
		if header[i] == "Host" {
			req.Host = header[i+1]
		}
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return answer{resp.StatusCode, resp.Header}, string(body)
}

type answer struct {
	StatusCode int
	Header     http.Header
}

func TestAnswers(t *testing.T) {
	tr := start(t)
	for _, test := range []struct {
		method, path string
		status       int
		body         string // contained in the answer
	}{
		{"GET", "/OpenHPC/3/EL_9/repodata/repomd.xml", 200, "<repomd/>"},
		{"GET", "/snapshots/EL_9/0123/repodata/repomd.xml", 200, "<repomd/>"},
		{"GET", "/OpenHPC/3/EL_9/%72epodata/repomd.xml", 200, "<repomd/>"},
		{"HEAD", "/OpenHPC/3/EL_9/repodata/repomd.xml", 200, ""},
		{"GET", "/nothing", 404, "no such file"},
		{"GET", "/OpenHPC/3/EL_9/repodata/repomd.xml/", 404, "no such file"},
		{"GET", "/OpenHPC/3/EL_9/repodata/repomd.xml/x", 404, "no such file"},
		{"GET", "/" + strings.Repeat("x", 300), 404, "no such file"},
		{"GET", "/../secret", 404, "no such file"},
		{"GET", "/%2e%2e/secret", 404, "no such file"},
		{"GET", "/OpenHPC/..%2f..%2f..%2fsecret", 404, "no such file"},
		{"GET", "/OpenHPC\\..\\..\\secret", 404, "no such file"},
		{"GET", "/%00", 404, "no such file"},
		{"GET", "/out", 403, "cannot be served"},
		{"GET", "/etc/passwd", 403, "cannot be served"},
		{"GET", "/.lock", 404, "no such file"},
		{"GET", "/journal/.hidden", 404, "no such file"},
		{"POST", "/", 405, "only GET and HEAD"},
		{"PUT", "/x", 405, "only GET and HEAD"},
		{"DELETE", "/OpenHPC", 405, "only GET and HEAD"},
		{"GET", "/OpenHPC/3/EL_9", 301, ""},
	} {
		t.Run(test.method+" "+test.path, func(t *testing.T) {
			resp, body := tr.ask(t, test.method, test.path)
			require.Equal(t, test.status, resp.StatusCode, body)
			require.Contains(t, body, test.body)
			require.NotContains(t, body, "not for the public")
			require.Equal(t, "nosniff", resp.Header.Get("X-Content-Type-Options"))
			if test.status == 301 {
				require.Equal(t, "./EL_9/", resp.Header.Get("Location"))
			}
		})
	}
	require.Contains(t, tr.log.String(), "status=404")
}

func TestRangesAndConditions(t *testing.T) {
	tr := start(t)
	const path = "/OpenHPC/3/EL_9/x86_64/big-1-1.x86_64.rpm"
	resp, body := tr.ask(t, "GET", path)
	require.Equal(t, 200, resp.StatusCode)
	require.Equal(t, string(tr.payload), body)
	require.Equal(t, "application/x-rpm", resp.Header.Get("Content-Type"))
	require.Equal(t, "no-cache", resp.Header.Get("Cache-Control"), "a channel moves")
	tag := resp.Header.Get("ETag")
	require.Regexp(t, `^"[0-9a-f]+-[0-9a-f]+-[0-9a-f]+"$`, tag)

	resp, body = tr.ask(t, "GET", path, "Range", "bytes=1000000-3999999")
	require.Equal(t, 206, resp.StatusCode)
	require.Equal(t, fmt.Sprintf("bytes 1000000-3999999/%d", len(tr.payload)), resp.Header.Get("Content-Range"))
	require.Equal(t, string(tr.payload[1000000:4000000]), body)
	resp, _ = tr.ask(t, "GET", path, "Range", "bytes=99999999-")
	require.Equal(t, 416, resp.StatusCode)
	resp, _ = tr.ask(t, "GET", path, "If-None-Match", tag)
	require.Equal(t, 304, resp.StatusCode)

	// What a channel's name leads to may have the same size and time as before.
	file := filepath.Join(tr.dir, "snapshots", "EL_9", "0123", "x86_64", "big-1-1.x86_64.rpm")
	fi, err := os.Stat(file)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(file+".next", make([]byte, len(tr.payload)), 0o644))
	require.NoError(t, os.Chtimes(file+".next", fi.ModTime(), fi.ModTime()))
	require.NoError(t, os.Rename(file+".next", file))
	resp, body = tr.ask(t, "GET", path, "If-Range", tag, "Range", "bytes=0-9")
	require.Equal(t, 200, resp.StatusCode, "no piece of another file")
	require.Len(t, body, len(tr.payload))

	resp, _ = tr.ask(t, "GET", "/snapshots/EL_9/0123/repodata/repomd.xml")
	require.Equal(t, "public, max-age=31536000, immutable", resp.Header.Get("Cache-Control"))
}

// TestAddresses: a tree that was published for another address is used here
// under this server's.
func TestAddresses(t *testing.T) {
	tr := start(t)
	resp, body := tr.ask(t, "GET", "/OpenHPC/3/EL_9.mirrorlist")
	require.Equal(t, tr.url+"/snapshots/EL_9/0123/\n", body)
	require.Equal(t, "no-cache", resp.Header.Get("Cache-Control"))
	resp, _ = tr.ask(t, "GET", "/OpenHPC/3/EL_9.mirrorlist", "If-None-Match", resp.Header.Get("ETag"))
	require.Equal(t, 304, resp.StatusCode)
	_, body = tr.ask(t, "GET", "/OpenHPC/3/EL_9/OpenHPC.repo", "Host", "cluster-head:8080")
	require.Equal(t, "[OpenHPC]\nmirrorlist=http://cluster-head:8080/OpenHPC/3/EL_9.mirrorlist\n"+
		"gpgkey=http://cluster-head:8080/OpenHPC/3/EL_9/RPM-GPG-KEY-OpenHPC-3\n  file:///etc/pki/rpm-gpg/RPM-GPG-KEY-OpenHPC-3\n", body)
	for _, host := range []string{"evil/OpenHPC", "a b", "x\"y", "user@host", "$1"} {
		resp, _ = tr.ask(t, "GET", "/OpenHPC/3/EL_9/OpenHPC.repo", "Host", host)
		require.Equal(t, 400, resp.StatusCode, host)
	}
	require.NoError(t, os.WriteFile(filepath.Join(tr.dir, "large.repo"), make([]byte, 2<<20), 0o644))
	resp, _ = tr.ask(t, "GET", "/large.repo")
	require.Equal(t, 403, resp.StatusCode)

	tr = start(t, serve.WithURL("https://repos.example.org/hpc/"))
	_, body = tr.ask(t, "GET", "/OpenHPC/3/EL_9.mirrorlist")
	require.Equal(t, "https://repos.example.org/hpc/snapshots/EL_9/0123/\n", body)
}

func TestPages(t *testing.T) {
	tr := start(t)
	resp, body := tr.ask(t, "GET", "/")
	require.Equal(t, 200, resp.StatusCode)
	require.Equal(t, "text/html; charset=utf-8", resp.Header.Get("Content-Type"))
	require.Contains(t, body, `<a href="./OpenHPC/3/EL_9/">OpenHPC/3/EL_9</a>`)
	require.NotContains(t, body, ".lock")
	require.NotContains(t, body, `"./etc/"`, "a link out of the tree")

	_, body = tr.ask(t, "GET", "/OpenHPC/3/EL_9/")
	for _, line := range []string{
		"rpm --import " + tr.url + "/OpenHPC/3/EL_9/RPM-GPG-KEY-OpenHPC-3",
		"curl -o /etc/yum.repos.d/OpenHPC.repo " + tr.url + "/OpenHPC/3/EL_9/OpenHPC.repo",
		"zypper addrepo " + tr.url + "/OpenHPC/3/EL_9/OpenHPC.repo",
		`<a href="./../../../">repositories</a> / <a href="./../../">OpenHPC</a> / <a href="./../">3</a> / <a href="./">EL_9</a>`,
		`<a href="./x86_64/">x86_64/</a>`,
	} {
		require.Contains(t, body, line)
	}
	require.NoError(t, os.WriteFile(filepath.Join(tr.dir, "OpenHPC", "3", "EL_9.repo"), []byte("[OpenHPC]\n"), 0o644))
	_, body = tr.ask(t, "GET", "/OpenHPC/3/EL_9/")
	require.Contains(t, body, "zypper addrepo "+tr.url+"/OpenHPC/3/EL_9.repo\n", "the channel's own definition")
	_, body = tr.ask(t, "GET", "/OpenHPC/3/EL_9/noarch/")
	require.NotContains(t, body, "<script>")
	require.Contains(t, body, `<a href="./%3Cscript%3Ex.noarch.rpm">&lt;script&gt;x.noarch.rpm</a>`)
	_, body = tr.ask(t, "GET", "/OpenHPC/3/EL_9/x86_64/")
	require.Contains(t, body, "5.0 MiB")

	require.NoError(t, os.Remove(filepath.Join(tr.dir, "snapshots", "EL_9", "0123", "OpenHPC.repo")))
	require.NoError(t, os.Remove(filepath.Join(tr.dir, "OpenHPC", "3", "EL_9.repo")))
	_, body = tr.ask(t, "GET", "/OpenHPC/3/EL_9/")
	require.Contains(t, body, "dnf config-manager --add-repo "+tr.url+"/OpenHPC/3/EL_9/")
	resp, _ = tr.ask(t, "HEAD", "/OpenHPC/3/EL_9/")
	require.Equal(t, 200, resp.StatusCode)
}

// TestTheEndWaits: an answer under way is finished when the server is told to end.
func TestTheEndWaits(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "a.rpm"), make([]byte, 32<<20), 0o644))
	handler, err := serve.Open(dir)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, handler.Close()) })
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- handler.Serve(ctx, l) }()
	resp, err := http.Get("http://" + l.Addr().String() + "/a.rpm") //nolint:noctx // it is the server's end that counts
	require.NoError(t, err)
	defer resp.Body.Close()
	cancel()
	time.Sleep(50 * time.Millisecond)
	n, err := io.Copy(io.Discard, resp.Body)
	require.NoError(t, err)
	require.EqualValues(t, 32<<20, n)
	require.NoError(t, <-ended)
}
