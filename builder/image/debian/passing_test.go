package debian

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/internal/testenv"
)

// mirror is an archive with one package, and what is the matter with it.
type mirror struct {
	files map[string][]byte
	fails func(w http.ResponseWriter, path string) bool
}

func (m *mirror) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := strings.TrimPrefix(r.URL.Path, "/")
	if m.fails != nil && m.fails(w, path) {
		return
	}
	b, ok := m.files[path]
	if !ok {
		http.NotFound(w, r)
		return
	}
	_, _ = w.Write(b)
}

const (
	released = "dists/bookworm/Release"
	listed   = "dists/bookworm/main/binary-amd64/Packages"
	pooled   = "pool/hello_1_amd64.deb"
)

// newMirror makes an archive; stanza changes what its list says of it.
func newMirror(stanza func(string) string) *mirror {
	deb := []byte("what is downloaded is not unpacked here")
	packages := fmt.Sprintf("Package: hello\nVersion: 1\nArchitecture: amd64\nMaintainer: x\nFilename: %s\nSize: %d\nSHA256: %x\nDescription: x\n\n", pooled, len(deb), sha256.Sum256(deb))
	if stanza != nil {
		packages = stanza(packages)
	}
	text := fmt.Sprintf("Origin: x\nSuite: bookworm\nCodename: bookworm\nDate: %s\nArchitectures: amd64\nComponents: main\nSHA256:\n %x %d main/binary-amd64/Packages\n",
		time.Now().UTC().Add(-time.Hour).Format(time.RFC1123), sha256.Sum256([]byte(packages)), len(packages))
	return &mirror{files: map[string][]byte{released: []byte(text), listed: []byte(packages), pooled: deb}}
}

func status(code int, suffix string) func(http.ResponseWriter, string) bool {
	return func(w http.ResponseWriter, path string) bool {
		if !strings.HasSuffix(path, suffix) {
			return false
		}
		http.Error(w, "no", code)
		return true
	}
}

// hangUp ends the connection in the middle of a file.
func hangUp(suffix string) func(http.ResponseWriter, string) bool {
	return func(w http.ResponseWriter, path string) bool {
		if strings.HasSuffix(path, suffix) {
			w.Header().Set("Content-Length", "1000000")
			_, _ = w.Write([]byte("x"))
			panic(http.ErrAbortHandler)
		}
		return false
	}
}

// sign makes a mirror's Release an InRelease of a key that nobody knows.
func sign(t *testing.T, m *mirror) *mirror {
	t.Helper()
	testenv.Programs(t, "gpg")
	home := t.TempDir()
	gpg := func(stdin []byte, args ...string) []byte {
		cmd := exec.CommandContext(t.Context(), "gpg", append([]string{"--homedir", home, "--batch", "--passphrase", "", "--pinentry-mode", "loopback"}, args...)...)
		cmd.Stdin = bytes.NewReader(stdin)
		out, err := cmd.Output()
		require.NoError(t, err)
		return out
	}
	gpg(nil, "--quick-generate-key", "nobody@example.org", "ed25519", "sign")
	m.files["dists/bookworm/InRelease"] = gpg(m.files[released], "--clearsign")
	_ = exec.Command("gpgconf", "--homedir", home, "--kill", "all").Run()
	return m
}

// TestWhatAptSays asks the real apt, of an archive on the loopback device.
func TestWhatAptSays(t *testing.T) {
	testenv.Programs(t, "apt-get")
	// It need not wait longer and longer before it asks again.
	config := filepath.Join(t.TempDir(), "apt.conf")
	require.NoError(t, os.WriteFile(config, []byte("Acquire::Retries::Delay \"false\";\n"), 0o644))
	t.Setenv("APT_CONFIG", config)
	healthy := func() *mirror { return newMirror(nil) }
	failing := func(fails func(http.ResponseWriter, string) bool) *mirror {
		m := healthy()
		m.fails = fails
		return m
	}
	cases := map[string]struct {
		mirror *mirror // nil: there is none
		signed bool    // its signature counts
		want   []string
		says   string // "": it succeeds
		passes bool
	}{
		"nobody there":           {says: "Could not connect to 127.0.0.1:1", passes: true},
		"nothing":                {mirror: healthy()},
		"a misspelt package":     {mirror: healthy(), want: []string{"helo"}, says: "Unable to locate package helo"},
		"an unknown suite":       {mirror: &mirror{}, signed: true, says: "does not have a Release file"},
		"not signed":             {mirror: healthy(), signed: true, says: "is not signed"},
		"a key of nobody's":      {mirror: sign(t, healthy()), signed: true, says: "NO_PUBKEY"},
		"a missing dependency":   {mirror: newMirror(func(s string) string { return strings.Replace(s, "Size:", "Depends: nothing-like-it\nSize:", 1) }), says: "held broken packages"},
		"a server in trouble":    {mirror: failing(status(503, "")), says: "503  Service Unavailable", passes: true},
		"a package in trouble":   {mirror: failing(status(500, ".deb")), says: "500  Internal Server Error", passes: true},
		"a package that is gone": {mirror: failing(status(404, ".deb")), says: "404  Not Found", passes: true},
		"a hang-up":              {mirror: failing(hangUp(".deb")), says: "Failed to fetch", passes: true},
		"a mirror being updated": {mirror: func() *mirror {
			m := healthy()
			m.files[listed] = append(m.files[listed], "Package: another\nVersion: 1\nArchitecture: amd64\n\n"...)
			return m
		}(), says: "Mirror sync in progress?", passes: true},
		"a package of the same size": {mirror: func() *mirror {
			m := healthy()
			m.files[pooled] = bytes.ToUpper(m.files[pooled])
			return m
		}(), says: "Hash Sum mismatch", passes: true},
	}
	type answer struct {
		tail string
		err  error
	}
	answers := map[string]chan answer{}
	for name, tc := range cases {
		address := "http://127.0.0.1:1/debian"
		if tc.mirror != nil {
			server := httptest.NewServer(tc.mirror)
			defer server.Close()
			address = server.URL
		}
		system, dir, told := t.TempDir(), t.TempDir(), make(chan answer, 1)
		answers[name] = told
		go func() {
			tail, err := ask(t.Context(), address, system, dir, tc.signed, tc.want)
			told <- answer{tail, err}
		}()
	}
	for name, tc := range cases {
		got := <-answers[name]
		if tc.says == "" {
			require.NoError(t, got.err, name)
			continue
		}
		require.Error(t, got.err, name)
		require.Contains(t, got.tail, tc.says, name)
		require.Equal(t, tc.passes, passing(got.tail), "%s: %s", name, got.tail)
	}
}

// ask downloads a package of an archive, and returns what apt had to say.
func ask(ctx context.Context, address, system, dir string, signed bool, packages []string) (tail string, err error) {
	if err := os.MkdirAll(filepath.Join(system, "var/lib/dpkg"), 0o755); err != nil {
		return "", err
	}
	if err := os.WriteFile(filepath.Join(system, "var/lib/dpkg/status"), nil, 0o644); err != nil {
		return "", err
	}
	option := "[trusted=yes]"
	if signed {
		option = "[signed-by=" + Keyring + "]"
	}
	if packages == nil {
		packages = []string{"hello"}
	}
	b := Bootstrap{Suite: "bookworm", Mirrors: []string{"deb " + option + " " + address + " bookworm main"}}
	_, err = b.Download(ctx, system, "x86_64", packages, dir)
	var failed *DownloadError
	if errors.As(err, &failed) {
		tail = failed.Tail
	}
	return tail, err
}

func TestWhatIsNotKnownDoesNotPass(t *testing.T) {
	for text, want := range map[string]bool{
		"": false,
		"E: Failed to fetch http://x/a.deb  403  Forbidden":                                                                                 false,
		"E: Failed to fetch http://x/dists/a/InRelease  Temporary failure resolving 'x'":                                                    true,
		"E: Release file for http://x/dists/a/InRelease is expired (invalid since 1d 2h). Updates for this repository will not be applied.": false,
		"E: Sub-process /usr/bin/dpkg returned an error code (1)":                                                                           false,
		"E: You don't have enough free space in /var/cache/apt/archives/.":                                                                  false,
		"E: Failed to fetch http://x/dists/a/InRelease  something new":                                                                      false,
		"I: running apt-get update...\nW: Failed to fetch http://x/InRelease  503  Later [IP: x]":                                           true,
		"E: Failed to fetch http://x/a.deb  503  Later\nE: Unable to locate package scotchh":                                                false,
		"note: E: Failed to fetch http://x/a.deb  503 Later":                                                                                false,
		"E: Failed to fetch http://x/a.deb  Connection timed out [IP: 192.0.2.1 80]":                                                        true,
		"E: Failed to fetch https://x/a.deb  Could not wait for server fd - select (11: x) [IP: ]":                                          false,
	} {
		require.Equal(t, want, passing(text), text)
	}
}
