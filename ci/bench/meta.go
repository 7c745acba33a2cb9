package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/ohpc-build/ohpc-build/ci/bench/figure"
)

const (
	metaNumber = 1000 // that builder/meta's benchmark makes
	metaPeer   = 10   // that rpmbuild makes of them
)

// metaSpec is a meta-package as rpmbuild makes it.
const metaSpec = `Name: ohpc-gnu14-serial-libs
Version: 3.2
Release: 1
Summary: Serial libraries
License: Apache-2.0
BuildArch: noarch
Requires: R-gnu14-ohpc, gsl-gnu14-ohpc, metis-gnu14-ohpc, openblas-gnu14-ohpc
Requires: plasma-gnu14-ohpc, scotch-gnu14-ohpc, superlu-gnu14-ohpc, ohpc-filesystem
%description
Serial libraries.
%files
`

// metaPackages makes meta-packages, source and binary package each.
func metaPackages(ctx context.Context, b *bench) ([]figure.Figure, error) {
	n := b.times(3)
	ours, err := goBenchmark(ctx, "./builder/meta", "BenchmarkThousand", 1, n)
	if err != nil {
		return nil, err
	}
	f := figure.Figure{
		Name: "meta", Unit: figure.Seconds, Ours: ours, Runs: n,
		What: fmt.Sprintf("%d meta-packages with their source packages, by the Go packages, one at a time", metaNumber),
	}
	if !installed("rpmbuild") {
		f.Lines = append(f.Lines, "rpmbuild is not installed, nothing to compare with")
		return []figure.Figure{f}, nil
	}
	dir, err := b.folder("rpmbuild-")
	if err != nil {
		return nil, err
	}
	spec := filepath.Join(dir, "meta.spec")
	if err := os.WriteFile(spec, []byte(metaSpec), 0o644); err != nil {
		return nil, err
	}
	c := command{name: "rpmbuild", env: []string{"HOME=" + dir}, args: []string{"-ba", "--quiet", "--define", "_topdir " + dir, spec}}
	one, err := c.median(ctx, metaPeer, nil)
	if err != nil {
		return []figure.Figure{f}, err
	}
	f.Against(fmt.Sprintf("rpmbuild -ba (%d times the median of %d)", metaNumber, metaPeer), metaNumber*one, metaPeer)
	return []figure.Figure{f}, nil
}
