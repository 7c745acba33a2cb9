package main

import (
	"context"
	"fmt"
	"path/filepath"
	"runtime"
	"strconv"

	"github.com/ohpc-build/ohpc-build/ci/bench/figure"
	"github.com/ohpc-build/ohpc-build/ci/bench/synthetic"
)

// libraryBenchmarks is the Go package of benchmarks for what no command does alone.
const libraryBenchmarks = "./ci/bench/library"

// inRepository is how many packages a repository has for the measurement.
const inRepository = 2000

// repodata makes a repository's metadata anew, with one processor and with all.
func repodata(ctx context.Context, b *bench) ([]figure.Figure, error) {
	dir := filepath.Join(b.work, "packages")
	if err := synthetic.Packages(dir, inRepository, 32<<10); err != nil {
		return nil, fmt.Errorf("making packages: %w", err)
	}
	n := b.times(3)
	var figures []figure.Figure
	for _, processors := range []int{1, runtime.NumCPU()} {
		ours, err := goBenchmark(ctx, libraryBenchmarks, "BenchmarkRepodata", processors, n, "OHPC_BUILD_BENCH_PACKAGES="+dir)
		if err != nil {
			return figures, err
		}
		f := figure.Figure{
			Name: "repodata-" + strconv.Itoa(processors), Unit: figure.Seconds, Ours: ours, Runs: n,
			What: fmt.Sprintf("metadata of %d packages of %d files, by the Go packages, %d at a time", inRepository, synthetic.FilesPerPackage, processors),
		}
		if err := againstCreaterepo(ctx, b, &f, dir, processors, n); err != nil {
			return figures, err
		}
		figures = append(figures, f)
	}
	return figures, nil
}

func againstCreaterepo(ctx context.Context, b *bench, f *figure.Figure, dir string, workers, n int) error {
	if !installed("createrepo_c") {
		f.Lines = append(f.Lines, "createrepo_c is not installed, nothing to compare with")
		return nil
	}
	out, err := b.folder("createrepo-")
	if err != nil {
		return err
	}
	c := command{name: "createrepo_c", args: []string{"--quiet", "--no-database", "--workers", strconv.Itoa(workers), "--outputdir", out, dir}}
	theirs, err := c.median(ctx, n, nil)
	if err != nil {
		return err
	}
	f.Against(fmt.Sprintf("createrepo_c --no-database --workers %d", workers), theirs, n)
	return nil
}
