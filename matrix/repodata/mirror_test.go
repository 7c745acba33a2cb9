package repodata_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/internal/store"
	"github.com/ohpc-build/ohpc-build/matrix/repodata"
	"github.com/ohpc-build/ohpc-build/repo/rpm"
	"github.com/ohpc-build/ohpc-build/repo/rpm/rpmtest"
	"github.com/ohpc-build/ohpc-build/repo/rpmmd"
)

// withFiles is a repository that has its packages too.
func withFiles(t *testing.T, packages ...rpmtest.Craft) string {
	t.Helper()
	dir := repository(t, packages...)
	for _, c := range packages {
		b := c.Bytes()
		p, err := rpm.Read(bytes.NewReader(b), int64(len(b)))
		require.NoError(t, err)
		path := filepath.Join(dir, p.Arch, p.FileName())
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, b, 0o644))
	}
	return dir
}

func TestLocal(t *testing.T) {
	dir := withFiles(t, app(), lib())
	require.NoError(t, os.WriteFile(filepath.Join(dir, "repodata", "repomd.xml.asc"), []byte("signature"), 0o644))
	r, err := repodata.Open(t.Context(), dir)
	require.NoError(t, err)
	none := func(rpmmd.Record) bool { return false }
	local, err := r.Local(t.Context(), t.TempDir(), none)
	require.NoError(t, err)
	require.Equal(t, dir, local, "a folder is used where it is")

	server := httptest.NewServer(http.FileServer(http.Dir(dir)))
	defer server.Close()
	r, err = repodata.Open(t.Context(), server.URL)
	require.NoError(t, err)
	to := t.TempDir()
	local, err = r.Local(t.Context(), to, func(rec rpmmd.Record) bool { return rec.Arch == "x86_64" })
	require.NoError(t, err)
	require.Equal(t, to, local)
	for _, name := range []string{"repodata/repomd.xml", "repodata/repomd.xml.asc", "x86_64/app-1-1.x86_64.rpm"} {
		want, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		got, err := os.ReadFile(filepath.Join(to, name))
		require.NoError(t, err)
		require.Equal(t, want, got, name)
	}
	require.NoDirExists(t, filepath.Join(to, "noarch"), "what is not wanted is not downloaded")
	again, err := repodata.Open(t.Context(), to)
	require.NoError(t, err)
	records, err := again.Records(t.Context())
	require.NoError(t, err)
	require.Len(t, records, 2)
	digest := sha256.Sum256(app().Bytes())
	require.True(t, slices.ContainsFunc(records, func(rec rpmmd.Record) bool {
		return rec.Name == "app" && rec.Checksum.Value == hex.EncodeToString(digest[:])
	}))
}

func TestHostilePackages(t *testing.T) {
	dir := withFiles(t, app())
	files := http.FileServer(http.Dir(dir))
	content := app().Bytes()
	for name, tc := range map[string]struct {
		answer func(http.ResponseWriter)
		want   string
	}{
		"changed": {func(w http.ResponseWriter) {
			b := bytes.Clone(content)
			b[len(b)-1] ^= 1
			_, _ = w.Write(b)
		}, "its sha256 is"},
		"longer":  {func(w http.ResponseWriter) { _, _ = w.Write(append(bytes.Clone(content), 0)) }, "its size is"},
		"shorter": {func(w http.ResponseWriter) { _, _ = w.Write(content[:100]) }, "its size is"},
		"endless": {func(w http.ResponseWriter) {
			for {
				if _, err := w.Write(make([]byte, 1<<16)); err != nil {
					return
				}
			}
		}, "its size is"},
		"gone": {func(w http.ResponseWriter) { w.WriteHeader(http.StatusNotFound) }, "404 Not Found"},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if strings.HasSuffix(r.URL.Path, ".rpm") {
					tc.answer(w)
					return
				}
				files.ServeHTTP(w, r)
			}))
			defer server.Close()
			r, err := repodata.Open(t.Context(), server.URL)
			require.NoError(t, err)
			_, err = r.Local(t.Context(), t.TempDir(), func(rpmmd.Record) bool { return true })
			require.ErrorContains(t, err, tc.want)
			require.ErrorContains(t, err, "app-1-1.x86_64.rpm")
		})
	}
}

func TestHostileLocations(t *testing.T) {
	for _, location := range []string{"../app.rpm", "/etc/passwd", "a\\b.rpm", "a/../../b.rpm"} {
		dir := t.TempDir()
		primary := `<metadata packages="1"><package type="rpm"><name>app</name><arch>noarch</arch><version epoch="0" ver="1" rel="1"/>` +
			`<checksum type="sha256" pkgid="YES">00</checksum><size package="10"/><location href="` + location + `"/></package></metadata>`
		digest := sha256.Sum256([]byte(primary))
		md := rpmmd.Repomd{Revision: "1", Data: []rpmmd.Data{{
			Type: "primary", Location: "repodata/primary.xml", Size: int64(len(primary)),
			Checksum: rpmmd.Checksum{Type: "sha256", Value: hex.EncodeToString(digest[:])},
		}}}
		b, err := md.XML()
		require.NoError(t, err)
		require.NoError(t, os.MkdirAll(filepath.Join(dir, "repodata"), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(dir, "repodata", "primary.xml"), []byte(primary), 0o644))
		require.NoError(t, os.WriteFile(filepath.Join(dir, rpmmd.RepomdFile), b, 0o644))
		r, err := repodata.Open(t.Context(), dir)
		require.NoError(t, err)
		_, err = r.Records(t.Context())
		require.ErrorContains(t, err, "is not in the repository but at")
	}
}

func TestMirrorKeepsPackages(t *testing.T) {
	dir := withFiles(t, app(), lib())
	asked := 0
	files := http.FileServer(http.Dir(dir))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, ".rpm") {
			asked++
		}
		files.ServeHTTP(w, r)
	}))
	defer server.Close()
	r, err := repodata.Open(t.Context(), server.URL)
	require.NoError(t, err)
	objects, err := store.Open(filepath.Join(t.TempDir(), "store"))
	require.NoError(t, err)
	for range 2 {
		local, err := r.Mirror(t.Context(), t.TempDir(), objects, func(rpmmd.Record) bool { return true })
		require.NoError(t, err)
		require.FileExists(t, filepath.Join(local, "x86_64/app-1-1.x86_64.rpm"))
		others, err := filepath.Glob(filepath.Join(local, "repodata/*other*"))
		require.NoError(t, err)
		require.NotEmpty(t, others, "clients may want all metadata")
	}
	require.Equal(t, 2, asked, "what was downloaded once is in the store")

	path := filepath.Join(dir, "x86_64/app-1-1.x86_64.rpm")
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	b[len(b)-1] ^= 1
	require.NoError(t, os.WriteFile(path, b, 0o644))
	fresh, err := store.Open(filepath.Join(t.TempDir(), "store"))
	require.NoError(t, err)
	_, err = r.Mirror(t.Context(), t.TempDir(), fresh, func(rpmmd.Record) bool { return true })
	require.ErrorContains(t, err, "app-1-1.x86_64.rpm")
}
