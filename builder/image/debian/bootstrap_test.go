package debian

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/builder/image"
	"github.com/ohpc-build/ohpc-build/internal/store"
	"github.com/ohpc-build/ohpc-build/internal/testenv"
)

func TestMirrors(t *testing.T) {
	const targets = "bookworm\tmain\thttp://mirror.example/debian/\n" +
		"bookworm\tmain\thttp://mirror.example/debian/\n" + // another architecture
		"bookworm\tcontrib\thttp://mirror.example/debian/\n" +
		"bookworm-updates\tmain\thttp://mirror.example/debian/\n" +
		"bookworm-security\tmain\thttps://security.example/debian-security/\n" +
		"trixie\tmain\thttp://mirror.example/debian/\n" +
		"sid\tmain\tfile:/srv/mirror/\n" +
		"not a target\n"
	a := &apt{sources: parseTargets(targets)}
	require.Len(t, a.sources, 6)
	signed := "deb [signed-by=" + Keyring + "] "
	require.Equal(t, []string{
		signed + "http://mirror.example/debian/ bookworm main",
		signed + "http://mirror.example/debian/ bookworm-updates main",
		signed + "https://security.example/debian-security/ bookworm-security main",
	}, a.mirrors("bookworm", []string{"main"}))
	require.Len(t, a.mirrors("bookworm", []string{"main", "contrib"}), 4)
	require.Empty(t, a.mirrors("sid", []string{"main"}), "a folder is no mirror that mmdebstrap can reach")
	require.Empty(t, a.mirrors("noble", []string{"main"}), "mmdebstrap's own default serves")
}

func TestProxies(t *testing.T) {
	const dump = `Acquire "";
Acquire::http "";
Acquire::http::Proxy "http://proxy.example:3128";
Acquire::http::Proxy::mirror.example "DIRECT";
Acquire::https::Proxy "";
Acquire::Retries "3";
`
	require.Equal(t, []string{
		`Acquire::http::Proxy "http://proxy.example:3128"`,
		`Acquire::http::Proxy::mirror.example "DIRECT"`,
	}, parseProxies(dump))
}

func TestWordsThatMmdebstrapWouldTakeForSomethingElse(t *testing.T) {
	for _, b := range []Bootstrap{
		{Suite: ""},
		{Suite: "--customize-hook=evil"},
		{Suite: "bookworm", Packages: []string{"make,--version"}},
		{Suite: "bookworm", Packages: []string{"?essential"}},
		{Suite: "bookworm", Components: []string{"main contrib"}},
	} {
		_, err := b.Image(t.Context(), nil, "x86_64", io.Discard)
		require.ErrorContains(t, err, "is not the name of a suite, component or package")
	}
}

func TestKeyDependsOnTheContent(t *testing.T) {
	b := Bootstrap{Suite: "bookworm", Packages: []string{"rpm", "dnf"}}
	require.Equal(t, b.Key("x86_64"), Bootstrap{Suite: "bookworm", Packages: []string{"dnf", "rpm"}}.Key("x86_64"))
	require.NotEqual(t, b.Key("x86_64"), b.Key("aarch64"))
	require.NotEqual(t, b.Key("x86_64"), Bootstrap{Suite: "trixie", Packages: b.Packages}.Key("x86_64"))
	require.NotEqual(t, b.Key("x86_64"), Bootstrap{Suite: "bookworm", Packages: []string{"dnf"}}.Key("x86_64"))
}

// archive writes files as mmdebstrap does, at a time.
func archive(t *testing.T, when time.Time, files map[string]string) []byte {
	t.Helper()
	var b bytes.Buffer
	tw := tar.NewWriter(&b)
	for _, name := range []string{"./", "./etc/", "./etc/passwd", "./etc/group", "./etc/shadow", "./etc/hostname", "./etc/machine-id", "./etc/shells", "./usr/share/python3/debpython/__pycache__/files.cpython-311.pyc", "./dev/null", "./var/log/dpkg.log", "./usr/bin/tool"} {
		body, ok := files[name]
		hdr := &tar.Header{Name: name, Mode: 0o644, Size: int64(len(body)), ModTime: when, Uname: "root", AccessTime: when, Format: tar.FormatPAX}
		if strings.HasSuffix(name, "/") {
			hdr.Typeflag, hdr.Mode = tar.TypeDir, 0o755
		} else if !ok {
			continue
		}
		if name == "./usr/bin/tool" {
			hdr.PAXRecords = map[string]string{"SCHILY.xattr.security.capability": "cap"}
		}
		require.NoError(t, tw.WriteHeader(hdr))
		_, err := io.WriteString(tw, body)
		require.NoError(t, err)
	}
	require.NoError(t, tw.Close())
	return b.Bytes()
}

func TestSettle(t *testing.T) {
	var first []byte
	for _, run := range []struct {
		host, shells string
		when         time.Time
	}{{"one", "# shells\n/bin/sh\n/bin/bash\n", time.Now()}, {"other", "# shells\n/bin/bash\n/bin/sh\n", time.Now().Add(-time.Hour)}} {
		in := archive(t, run.when, map[string]string{
			"./etc/passwd": "root:x:0:0:root:/root:/bin/bash\n", "./etc/group": "root:x:0:\n", "./etc/shadow": "root:*:1::::::\n",
			"./etc/shells": run.shells, "./usr/share/python3/debpython/__pycache__/files.cpython-311.pyc": run.host,
			"./etc/hostname": run.host, "./etc/machine-id": run.host, "./dev/null": "", "./var/log/dpkg.log": run.host, "./usr/bin/tool": "#!/bin/sh\n",
		})
		var out bytes.Buffer
		require.NoError(t, settle(bytes.NewReader(in), &out))
		if first != nil {
			require.Equal(t, first, out.Bytes(), "it does not tell when and where it was made")
			continue
		}
		first = bytes.Clone(out.Bytes())

		got := map[string]string{}
		tr := tar.NewReader(&out)
		for hdr, err := tr.Next(); !errors.Is(err, io.EOF); hdr, err = tr.Next() {
			require.NoError(t, err)
			body, err := io.ReadAll(tr)
			require.NoError(t, err)
			require.NotContains(t, got, hdr.Name, "twice")
			require.LessOrEqual(t, hdr.ModTime.Unix(), int64(image.Epoch))
			got[hdr.Name] = string(body)
			switch hdr.Name {
			case "usr/bin/tool":
				require.Equal(t, "cap", hdr.PAXRecords["SCHILY.xattr.security.capability"])
			case "build/":
				require.Equal(t, 1000, hdr.Uid)
			}
		}
		require.Equal(t, "root:x:0:0:root:/root:/bin/bash\nbuilder:x:1000:1000:builder:/build:/bin/bash\n", got["etc/passwd"])
		require.Equal(t, "localhost\n", got["etc/hostname"])
		require.Empty(t, got["etc/machine-id"])
		require.Equal(t, "# shells\n/bin/bash\n/bin/sh\n", got["etc/shells"])
		require.Equal(t, "%_dbpath /var/lib/rpm\n", got["etc/rpm/macros"])
		require.NotContains(t, got, "dev/null")
		require.NotContains(t, got, "var/log/dpkg.log")
		require.Contains(t, got, "etc/yum.repos.d/")
	}
}

func TestSettleRefusesWhatIsNoRoot(t *testing.T) {
	err := settle(bytes.NewReader(archive(t, time.Now(), nil)), io.Discard)
	require.ErrorContains(t, err, "it is no root file system")
	whole := archive(t, time.Now(), map[string]string{"./etc/passwd": "root:x:0:0::/:\n"})
	cut := bytes.Index(whole, []byte("root:x:0:0")) + 4
	err = settle(bytes.NewReader(whole[:cut]), io.Discard)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
}

func newImages(t *testing.T) (*image.Images, string) {
	t.Helper()
	testenv.Integration(t)
	testenv.Root(t)
	testenv.Programs(t, "mmdebstrap", "unshare")
	dir := t.TempDir()
	st, err := store.Open(dir)
	require.NoError(t, err)
	return image.New(st, filepath.Join(dir, "layers")), dir
}

func TestAFailureShowsWhatMmdebstrapSaid(t *testing.T) {
	images, dir := newImages(t)
	var log bytes.Buffer
	b := Bootstrap{Suite: "bookworm", Mirrors: []string{"http://127.0.0.1:1/debian"}}
	_, err := b.Image(t.Context(), images, "x86_64", &log)
	var failed *Error
	require.ErrorAs(t, err, &failed)
	require.Contains(t, failed.Tail, "127.0.0.1")
	require.True(t, failed.Passing(), failed.Tail)
	require.ErrorContains(t, err, "bootstrapping bookworm for x86_64")
	require.Contains(t, log.String(), failed.Tail)
	_, err = images.Find(b.Key("x86_64"))
	require.ErrorIs(t, err, store.ErrNotFound)
	requireNothingLeft(t, dir)

	// One that has no such suite will not have it later.
	empty := httptest.NewServer(http.NotFoundHandler())
	defer empty.Close()
	b.Mirrors = []string{empty.URL + "/debian"}
	_, err = b.Image(t.Context(), images, "x86_64", &log)
	require.ErrorAs(t, err, &failed)
	require.Contains(t, failed.Tail, "does not have a Release file")
	require.False(t, failed.Passing(), failed.Tail)
}

// requireNothingLeft asserts that no process works below dir and nothing is
// mounted or left there.
func requireNothingLeft(t *testing.T, dir string) {
	t.Helper()
	require.Eventually(t, func() bool {
		files, err := filepath.Glob("/proc/[0-9]*/environ")
		require.NoError(t, err)
		for _, f := range files {
			if env, err := os.ReadFile(f); err == nil && bytes.Contains(env, []byte("TMPDIR="+dir)) {
				return false
			}
		}
		return true
	}, 2*time.Second, 20*time.Millisecond, "processes are left")
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	require.NoError(t, err)
	require.NotContains(t, string(mounts), dir)
	left, err := os.ReadDir(filepath.Join(dir, "tmp"))
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestTheEndOfTheContextEndsMmdebstrap(t *testing.T) {
	images, dir := newImages(t)
	// A mirror that takes the connection and never answers.
	mirror, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer mirror.Close()
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("somebody pressed a key")
	var cancelled time.Time
	go func() {
		conn, err := mirror.Accept()
		if err == nil {
			defer conn.Close()
		}
		cancelled = time.Now()
		cancel(why)
		<-t.Context().Done()
	}()
	b := Bootstrap{Suite: "bookworm", Mirrors: []string{"http://" + mirror.Addr().String() + "/debian"}}
	_, err = b.Image(ctx, images, "x86_64", io.Discard)
	require.ErrorIs(t, err, why)
	require.Less(t, time.Since(cancelled), 5*time.Second)
	requireNothingLeft(t, dir)
}
