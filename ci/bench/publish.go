package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/ohpc-build/ohpc-build/ci/bench/figure"
	"github.com/ohpc-build/ohpc-build/ci/bench/synthetic"
)

// inPublished is how many packages the repository has that is published.
const inPublished = 2000

// published is a repository of which one package changes.
type published struct {
	*bench
	dir, key string // all packages, one more than a snapshot has; the key
}

// publishing takes the time of publishing a repository in which one package has
// changed, and of the one moment of it that clients can see.
func publishing(ctx context.Context, b *bench) ([]figure.Figure, error) {
	dir, err := b.folder("published-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	p := &published{bench: b, dir: filepath.Join(dir, "packages"), key: filepath.Join(dir, "keys", "signing.asc")}
	generate := command{dir: b.work, name: b.program, args: []string{"key", "generate", "--algorithm", "ed25519", "--state", dir}}
	if _, err := generate.call(ctx); err != nil {
		return nil, err
	}
	if err := synthetic.Packages(p.dir, inPublished+1, 32<<10); err != nil {
		return nil, fmt.Errorf("making packages: %w", err)
	}
	n := b.times(5)
	whole := figure.Figure{
		Name: "publish", Unit: figure.Seconds, Runs: n,
		What:  fmt.Sprintf("publishing %d packages of %d files, one of them changed, by the Go packages", inPublished, synthetic.FilesPerPackage),
		Lines: []string{"ours: all packages' digests and signatures verified, advisories, metadata, signature, all of it durable (fsync), the channel moved"},
	}
	if whole.Ours, err = goBenchmark(ctx, libraryBenchmarks, "BenchmarkPublish", runtime.NumCPU(), n,
		"OHPC_BUILD_BENCH_PACKAGES="+p.dir, "OHPC_BUILD_BENCH_KEY="+p.key); err != nil {
		return nil, err
	}
	move := figure.Figure{Name: "publish-move", What: "moving a channel: mirrorlist, link, .repo file, history, all of it durable", Unit: figure.Seconds, Runs: n}
	if move.Ours, err = goBenchmark(ctx, "./repo/channel", "BenchmarkMove", runtime.NumCPU(), n); err != nil {
		return nil, err
	}
	if !installed("createrepo_c") || !installed("gpg") {
		whole.Lines = append(whole.Lines, "createrepo_c or gpg is not installed, nothing to compare with")
		return []figure.Figure{whole, move}, nil
	}
	theirs, copying, err := p.theirs(ctx, n)
	if err != nil {
		return nil, err
	}
	whole.Against("cp -a, createrepo_c --update --skip-stat, gpg, mv of a link", theirs, n)
	whole.Lines = append(whole.Lines, fmt.Sprintf("theirs: nothing is verified, told in advisories, or durable; %.2f s of it is the copy", copying))
	return []figure.Figure{whole, move}, nil
}

// theirs does what is done without such a program: the published folder is copied,
// a package in it replaced, its metadata brought up to date and signed, and a link
// turned to it. It returns the medians of all and of the copying.
func (p *published) theirs(ctx context.Context, n int) (whole, copying float64, err error) {
	home, err := p.folder("gpg-")
	if err != nil {
		return 0, 0, err
	}
	defer func() { // its agent would stay
		_, _ = command{name: "gpgconf", args: []string{"--homedir", home, "--kill", "all"}}.call(context.WithoutCancel(ctx))
	}()
	if _, err := (command{name: "gpg", args: []string{"--homedir", home, "--batch", "--quiet", "--import", p.key}}).call(ctx); err != nil {
		return 0, 0, err
	}
	at := func(name ...string) string { return filepath.Join(append([]string{filepath.Dir(p.dir)}, name...)...) }
	fresh, old := synthetic.FileName(inPublished), synthetic.FileName(inPublished-1)
	if err := os.Rename(filepath.Join(p.dir, fresh), at(fresh)); err != nil {
		return 0, 0, err
	}
	if _, err := (command{name: "createrepo_c", args: []string{"--quiet", "--no-database", p.dir}}).call(ctx); err != nil {
		return 0, 0, err
	}
	var took, copies []time.Duration
	for range n {
		begin := time.Now()
		for i, args := range [][]string{
			{"cp", "-a", p.dir, at("next")},
			{"rm", at("next", old)},
			{"cp", "-a", at(fresh), at("next", fresh)},
			{"createrepo_c", "--quiet", "--no-database", "--update", "--skip-stat", at("next")},
			{"gpg", "--homedir", home, "--batch", "--yes", "--detach-sign", "--armor", at("next", "repodata", "repomd.xml")},
			{"ln", "-s", at("next"), at("current.new")},
			{"mv", "-T", at("current.new"), at("current")},
		} {
			r, err := command{name: args[0], args: args[1:]}.call(ctx)
			if err != nil {
				return 0, 0, err
			}
			if i == 0 {
				copies = append(copies, r.took)
			}
		}
		took = append(took, time.Since(begin))
		if err := os.RemoveAll(at("next")); err != nil {
			return 0, 0, err
		}
	}
	return figure.Middle(took), figure.Middle(copies), nil
}
