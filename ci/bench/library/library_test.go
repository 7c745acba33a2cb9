package library_test

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

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

// BenchmarkSign signs all packages in place, as many at a time as there are
// processors.
func BenchmarkSign(b *testing.B) {
	files := packages(b)
	key, err := sign.LoadKey(setting(b, envKey))
	require.NoError(b, err)
	for b.Loop() {
		group, ctx := errgroup.WithContext(b.Context())
		group.SetLimit(runtime.GOMAXPROCS(0))
		for _, file := range files {
			group.Go(func() error { return key.SignPackageFile(ctx, file, file, key.Created()) })
		}
		require.NoError(b, group.Wait())
	}
}
