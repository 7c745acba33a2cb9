package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/ohpc-build/ohpc-build/ci/bench/figure"
	"github.com/ohpc-build/ohpc-build/ci/bench/synthetic"
)

// batch is what is signed: so many packages of about one size, with one kind of key.
type batch struct {
	name      string
	algorithm string
	packages  int
	bulk      int // bytes of each that do not compress
}

// batches are small packages with each kind of key, where the key's arithmetic
// counts, and large ones, where reading and writing does.
func batches() []batch {
	return []batch{
		{"sign", "rsa", 100, 32 << 10},
		{"sign-ed25519", "ed25519", 100, 32 << 10},
		{"sign-large", "rsa", 20, 8 << 20},
	}
}

// signing signs packages with keys that ohpc-build makes. Both sides make what
// rpmsign makes unless told otherwise: one signature, over the header.
func signing(ctx context.Context, b *bench) ([]figure.Figure, error) {
	var figures []figure.Figure
	for _, s := range batches() {
		f, err := b.signBatch(ctx, s)
		if err != nil {
			return figures, err
		}
		figures = append(figures, f)
	}
	return figures, nil
}

func (b *bench) signBatch(ctx context.Context, s batch) (figure.Figure, error) {
	n := b.times(3)
	f := figure.Figure{
		Name: s.name, Unit: figure.Seconds, Runs: n,
		What: fmt.Sprintf("signing %d packages of %d KiB with %s, by the Go packages, %d at a time", s.packages, s.bulk>>10, s.algorithm, runtime.NumCPU()),
	}
	dir, err := b.folder("unsigned-")
	if err != nil {
		return f, err
	}
	defer os.RemoveAll(dir)
	if err := synthetic.Packages(dir, s.packages, s.bulk); err != nil {
		return f, fmt.Errorf("making packages: %w", err)
	}
	state, err := b.folder("key-")
	if err != nil {
		return f, err
	}
	generate := command{dir: b.work, name: b.program, args: []string{"key", "generate", "--algorithm", s.algorithm, "--state", state}}
	if _, err := generate.call(ctx); err != nil {
		return f, err
	}
	key := filepath.Join(state, "keys", "signing.asc")
	f.Ours, err = goBenchmark(ctx, libraryBenchmarks, "BenchmarkSign", runtime.NumCPU(), n,
		"OHPC_BUILD_BENCH_PACKAGES="+dir, "OHPC_BUILD_BENCH_KEY="+key)
	if err != nil {
		return f, err
	}
	gpg, err := exec.LookPath("gpg")
	if err != nil || !installed("rpmsign") {
		f.Lines = append(f.Lines, "rpmsign or gpg is not installed, nothing to compare with")
		return f, nil
	}
	return f, b.againstRpmsign(ctx, &f, dir, key, gpg)
}

// againstRpmsign lets rpmsign sign copies with the same key, in one process and in
// as many as there are processors; what took less counts.
func (b *bench) againstRpmsign(ctx context.Context, f *figure.Figure, dir, key, gpg string) error {
	home, err := b.folder("gpg-")
	if err != nil {
		return err
	}
	defer func() { // its agent would stay
		_, _ = command{name: "gpgconf", args: []string{"--homedir", home, "--kill", "all"}}.call(context.WithoutCancel(ctx))
	}()
	imported := command{name: gpg, args: []string{"--homedir", home, "--batch", "--quiet", "--import", key}}
	if _, err := imported.call(ctx); err != nil {
		return err
	}
	signed := filepath.Join(b.work, "signed")
	defer os.RemoveAll(signed)
	files, err := filepath.Glob(filepath.Join(dir, "*.rpm"))
	if err != nil {
		return err
	}
	for i, file := range files {
		files[i] = filepath.Join(signed, filepath.Base(file))
	}
	best := "rpmsign --addsign"
	one, err := rpmsign(ctx, f.Runs, home, gpg, dir, signed, [][]string{files})
	if err != nil {
		return err
	}
	processes := runtime.NumCPU()
	shares := make([][]string, processes)
	for i, file := range files {
		shares[i%processes] = append(shares[i%processes], file)
	}
	many, err := rpmsign(ctx, f.Runs, home, gpg, dir, signed, shares)
	if err != nil {
		return err
	}
	f.Lines = append(f.Lines, fmt.Sprintf("rpmsign took %.2f s in one process, %.2f s in %d", one, many, processes))
	if many < one {
		one, best = many, fmt.Sprintf("%s, %d processes", best, processes)
	}
	f.Against(best, one, f.Runs)
	return nil
}

// rpmsign takes the time of signing fresh copies, one process for each share of
// the files.
func rpmsign(ctx context.Context, n int, home, gpg, dir, signed string, shares [][]string) (float64, error) {
	return figure.Median(n, func() (time.Duration, error) {
		if err := os.RemoveAll(signed); err != nil {
			return 0, err
		}
		if err := os.CopyFS(signed, os.DirFS(dir)); err != nil {
			return 0, err
		}
		begin := time.Now()
		group, ctx := errgroup.WithContext(ctx)
		for _, files := range shares {
			if len(files) == 0 { // rpmsign would complain
				continue
			}
			c := command{name: "rpmsign", args: append([]string{
				"--define", "_gpg_path " + home, "--define", "_gpg_name ohpc-build", "--define", "__gpg " + gpg, "--addsign",
			}, files...)}
			group.Go(func() error {
				_, err := c.call(ctx)
				return err
			})
		}
		err := group.Wait()
		return time.Since(begin), err
	})
}
