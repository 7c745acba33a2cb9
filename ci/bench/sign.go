package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"

	"github.com/ohpc-build/ohpc-build/ci/bench/figure"
	"github.com/ohpc-build/ohpc-build/ci/bench/synthetic"
)

// toSign is how many packages are signed.
const toSign = 100

// signing signs packages with a key that ohpc-build makes.
func signing(ctx context.Context, b *bench) ([]figure.Figure, error) {
	dir := filepath.Join(b.work, "unsigned")
	if err := synthetic.Packages(dir, toSign, 32<<10); err != nil {
		return nil, fmt.Errorf("making packages: %w", err)
	}
	state, err := b.folder("key-")
	if err != nil {
		return nil, err
	}
	generate := command{dir: b.work, name: b.program, args: []string{"key", "generate", "--state", state}}
	if _, err := generate.call(ctx); err != nil {
		return nil, err
	}
	key := filepath.Join(state, "keys", "signing.asc")
	n := b.times(3)
	ours, err := goBenchmark(ctx, libraryBenchmarks, "BenchmarkSign", runtime.NumCPU(), n,
		"OHPC_BUILD_BENCH_PACKAGES="+dir, "OHPC_BUILD_BENCH_KEY="+key)
	if err != nil {
		return nil, err
	}
	f := figure.Figure{
		Name: "sign", Unit: figure.Seconds, Ours: ours, Runs: n,
		What: fmt.Sprintf("signing %d packages, by the Go packages, %d at a time", toSign, runtime.NumCPU()),
	}
	gpg, err := exec.LookPath("gpg")
	if err != nil || !installed("rpmsign") {
		f.Lines = append(f.Lines, "rpmsign or gpg is not installed, nothing to compare with")
		return []figure.Figure{f}, nil
	}
	err = againstRpmsign(ctx, b, &f, dir, key, gpg)
	return []figure.Figure{f}, err
}

// againstRpmsign lets rpmsign sign copies with the same key. Like ours it makes
// both signatures, of the header and of header and payload.
func againstRpmsign(ctx context.Context, b *bench, f *figure.Figure, dir, key, gpg string) error {
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
	files, err := filepath.Glob(filepath.Join(dir, "*.rpm"))
	if err != nil {
		return err
	}
	sign := command{name: "rpmsign", args: []string{
		"--define", "_gpg_path " + home, "--define", "_gpg_name ohpc-build", "--define", "__gpg " + gpg, "--rpmv3", "--addsign",
	}}
	for _, file := range files {
		sign.args = append(sign.args, filepath.Join(signed, filepath.Base(file)))
	}
	const n = 1 // it takes long
	theirs, err := sign.median(ctx, n, func() error {
		if err := os.RemoveAll(signed); err != nil {
			return err
		}
		return os.CopyFS(signed, os.DirFS(dir))
	})
	if err != nil {
		return err
	}
	f.Against("rpmsign --addsign", theirs, n)
	return nil
}
