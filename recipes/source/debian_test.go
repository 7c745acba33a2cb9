package source_test

import (
	"crypto/md5" //nolint:gosec // Debian's index has it beside SHA-256
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/recipes"
	"github.com/ohpc-build/ohpc-build/recipes/source"
)

func needApt(t *testing.T) {
	t.Helper()
	_, err := exec.LookPath("apt-get")
	needNetwork(t, err)
}

// mirror is a Debian archive with one source package, probe 1.0-2.
func mirror(t *testing.T) *httptest.Server {
	t.Helper()
	root := t.TempDir()
	put := func(name, text string) {
		name = filepath.Join(root, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o755))
		require.NoError(t, os.WriteFile(name, []byte(text), 0o644))
	}
	sums := func(kind string, sum func(string) string, files map[string]string) string {
		var text strings.Builder
		fmt.Fprintf(&text, "%s:\n", kind)
		for _, name := range []string{"probe_1.0-2.dsc", "probe_1.0.orig.tar.gz"} {
			fmt.Fprintf(&text, " %s %d %s\n", sum(files[name]), len(files[name]), name)
		}
		return text.String()
	}
	files := map[string]string{"probe_1.0-2.dsc": "Format: 3.0 (quilt)\n", "probe_1.0.orig.tar.gz": content}
	for name, text := range files {
		put("pool/main/p/probe/"+name, text)
	}
	sources := "Package: probe\nBinary: probe\nVersion: 1.0-2\nArchitecture: any\nFormat: 3.0 (quilt)\n" +
		sums("Files", func(s string) string { return fmt.Sprintf("%x", md5.Sum([]byte(s))) }, files) +
		sums("Checksums-Sha256", hexOf, files) +
		"Directory: pool/main/p/probe\n\n"
	put("dists/bookworm/main/source/Sources", sources)
	put("dists/bookworm/Release", fmt.Sprintf("Origin: Debian\nCodename: bookworm\nSuite: stable\nComponents: main\nDate: Sat, 01 Jan 2022 00:00:00 UTC\nSHA256:\n %s %d main/source/Sources\n",
		hexOf(sources), len(sources)))
	web := httptest.NewServer(http.FileServer(http.Dir(root)))
	t.Cleanup(web.Close)
	return web
}

func TestDebian(t *testing.T) {
	needApt(t)
	web := mirror(t)
	before := hostLists(t)
	probe := func(change func(*recipes.Source)) recipes.Source {
		s := recipes.Source{
			File: "probe-1.0.tar.gz", SHA256: hexOf(content),
			Debian: &recipes.Debian{Suite: "bookworm", Package: "probe", Version: "1.0-2", File: "probe_1.0.orig.tar.gz"},
		}
		change(&s)
		return s
	}
	tests := map[string]struct {
		source recipes.Source
		want   string
	}{
		"the version":         {probe(func(*recipes.Source) {}), ""},
		"a version that left": {probe(func(s *recipes.Source) { s.Debian.Version = "1.0-1" }), ""},
		"unknown package": {
			probe(func(s *recipes.Source) { s.Debian.Package = "prober" }),
			web.URL + " bookworm: prober=1.0-2: ",
		},
		"unknown file": {
			probe(func(s *recipes.Source) { s.Debian.File = "probe_1.0.orig.tar.xz" }),
			"probe=1.0-2 has no file probe_1.0.orig.tar.xz, but probe_1.0.orig.tar.gz",
		},
		"unknown suite": {probe(func(s *recipes.Source) { s.Debian.Suite = "trixie" }), web.URL + " trixie: "},
		"another digest": {
			probe(func(s *recipes.Source) { s.SHA256 = hexOf("something else\n") }),
			"its SHA-256 is " + hexOf(content),
		},
		"an option for a package": {
			probe(func(s *recipes.Source) { s.Debian.Package = "-oDPkg::Pre-Invoke=id" }),
			"is not a name that Debian's archive has",
		},
		"a path for a file": {
			probe(func(s *recipes.Source) { s.Debian.File = "../../etc/passwd" }),
			"has no file ../../etc/passwd",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			f, st := newFetcher(t, source.WithDebianMirror(web.URL))
			d, err := f.Fetch(t.Context(), tt.source, nil)
			if tt.want != "" {
				require.ErrorContains(t, err, tt.want)
				return
			}
			require.NoError(t, err)
			data, err := st.ReadAll(d, 1000)
			require.NoError(t, err)
			require.Equal(t, content, string(data))
		})
	}
	require.Equal(t, before, hostLists(t), "the host's own lists must be left alone")
}

func TestDebianUnreachable(t *testing.T) {
	needApt(t)
	web := mirror(t)
	web.Close()
	f, _ := newFetcher(t, source.WithDebianMirror(web.URL))
	_, err := f.Fetch(t.Context(), recipes.Source{
		File: "p.tar.gz", SHA256: hexOf(content),
		Debian: &recipes.Debian{Suite: "bookworm", Package: "probe", Version: "1.0-2", File: "probe_1.0.orig.tar.gz"},
	}, nil)
	var failure *source.FetchError
	require.ErrorAs(t, err, &failure)
	require.ErrorContains(t, err, web.URL+" bookworm: ")
	require.ErrorContains(t, err, "Could not connect")
}

// The host's mirror has what the default catalogue pins.
func TestDebianOfTheHost(t *testing.T) {
	needApt(t)
	f, _ := newFetcher(t)
	_, err := f.Fetch(t.Context(), recipes.Source{
		File: "none.tar.gz", SHA256: hexOf(content),
		Debian: &recipes.Debian{Suite: "no-such-suite", Package: "hwloc", Version: "1", File: "f"},
	}, nil)
	require.ErrorContains(t, err, " no-such-suite: Failed to fetch", "mmdebstrap's mirror is asked when the host's apt has none")

	const digest = "b3fb1a43a14d8fbcd8e976de5ede2ea7ce1d768ed173adb33c7ceaaf098dc970"
	d, err := f.Fetch(t.Context(), recipes.Source{
		File: "hwloc-2.9.0.tar.bz2", SHA256: digest,
		Debian: &recipes.Debian{Suite: "bookworm", Package: "hwloc", Version: "2.9.0-1", File: "hwloc_2.9.0.orig.tar.bz2"},
	}, nil)
	needNetwork(t, err)
	require.Equal(t, digest, d.Hex())
}

// hostLists is the state of the host's own package lists.
func hostLists(t *testing.T) string {
	t.Helper()
	var list strings.Builder
	entries, err := os.ReadDir("/var/lib/apt/lists")
	require.NoError(t, err)
	for _, e := range entries {
		fi, err := e.Info()
		require.NoError(t, err)
		fmt.Fprintln(&list, fi.Name(), fi.Size(), fi.ModTime())
	}
	return list.String()
}
