package library_test

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/ohpc-build/ohpc-build/repo/rpm"
	"github.com/ohpc-build/ohpc-build/repo/rpmmd"
	"github.com/ohpc-build/ohpc-build/repo/sign"
)

// What the program tells the benchmarks.
const (
	envPackages = "OHPC_BUILD_BENCH_PACKAGES" // folder
	envKey      = "OHPC_BUILD_BENCH_KEY"      // armored private key
)

func setting(b *testing.B, name string) string {
	b.Helper()
	value := os.Getenv(name)
	if value == "" {
		b.Skip(name + " is not set: make bench sets it")
	}
	return value
}

func packages(b *testing.B) []string {
	b.Helper()
	files, err := filepath.Glob(filepath.Join(setting(b, envPackages), "*.rpm"))
	require.NoError(b, err)
	require.NotEmpty(b, files)
	return files
}

// BenchmarkRepodata makes the metadata of all packages, from their files: each is
// read whole once for its digest, and then its headers. As many at a time as -cpu says.
func BenchmarkRepodata(b *testing.B) {
	files := packages(b)
	for b.Loop() {
		entries := make([]rpmmd.Entry, len(files))
		var group errgroup.Group
		group.SetLimit(runtime.GOMAXPROCS(0))
		for i, file := range files {
			group.Go(func() (err error) {
				entries[i], err = entry(file)
				return err
			})
		}
		require.NoError(b, group.Wait())
		_, err := rpmmd.Write(b.Context(), b.TempDir(), entries, rpmmd.Options{})
		require.NoError(b, err)
	}
}

func entry(path string) (rpmmd.Entry, error) {
	f, err := os.Open(path)
	if err != nil {
		return rpmmd.Entry{}, err
	}
	defer f.Close()
	h := sha256.New()
	size, err := io.Copy(h, f)
	if err != nil {
		return rpmmd.Entry{}, err
	}
	p, err := rpm.Read(f, size)
	if err != nil {
		return rpmmd.Entry{}, err
	}
	return rpmmd.Entry{Package: p, Location: filepath.Base(path), SHA256: hex.EncodeToString(h.Sum(nil))}, nil
}

// BenchmarkSign signs all packages, into other files; as many at a time as -cpu says.
func BenchmarkSign(b *testing.B) {
	files := packages(b)
	key, err := sign.LoadKey(setting(b, envKey))
	require.NoError(b, err)
	for b.Loop() {
		dir := b.TempDir()
		group, ctx := errgroup.WithContext(b.Context())
		group.SetLimit(runtime.GOMAXPROCS(0))
		for _, file := range files {
			group.Go(func() error {
				return key.SignPackageFile(ctx, file, filepath.Join(dir, filepath.Base(file)), key.Created())
			})
		}
		require.NoError(b, group.Wait())
	}
}
