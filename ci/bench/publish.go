package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"time"

	"github.com/ohpc-build/ohpc-build/ci/bench/figure"
	"github.com/ohpc-build/ohpc-build/ci/bench/synthetic"
)

// published is a repository that is published again and again, by us and by others.
type published struct {
	*bench
	packages int
	dir      string // of everything
	pool     string // all packages, one more than are published at a time
	key      string // file
	home     string // gpg's
	program  string // the Go benchmarks
	copying  []time.Duration
}

// publishing takes the time of publishing a repository for the first time, when one
// package has changed, and when none has; and of the one moment of it that clients can see.
func publishing(ctx context.Context, b *bench) ([]figure.Figure, error) {
	figures, err := publishingOf(ctx, b, 2_000, "publish", b.times(5))
	if err != nil {
		return figures, err
	}
	move := figure.Figure{Name: "publish-move", What: "moving a channel: mirrorlist, link, .repo file, history, all of it durable", Unit: figure.Seconds, Runs: b.times(5)}
	move.Ours, err = goBenchmark(ctx, "./repo/channel", "BenchmarkMove", runtime.NumCPU(), b.times(5))
	return append(figures, move), err
}

// publishingLarge does the same with more packages than OpenHPC has.
func publishingLarge(ctx context.Context, b *bench) ([]figure.Figure, error) {
	return publishingOf(ctx, b, 10_000, "large-publish", b.times(3))
}

func publishingOf(ctx context.Context, b *bench, packages int, name string, runs int) (figures []figure.Figure, err error) {
	dir, err := b.folder("published-")
	if err != nil {
		return nil, err
	}
	p := &published{
		bench: b, packages: packages, dir: dir, pool: filepath.Join(dir, "packages"), key: filepath.Join(dir, "keys", "signing.asc"),
		program: filepath.Join(dir, "benchmarks"),
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	for _, c := range []command{
		{dir: b.work, name: b.program, args: []string{"key", "generate", "--algorithm", "ed25519", "--state", dir}},
		{name: "go", args: []string{"test", "-c", "-o", p.program, libraryBenchmarks}},
	} {
		if _, err := c.call(ctx); err != nil {
			return nil, err
		}
	}
	if err := synthetic.Packages(p.pool, packages+1, 32<<10); err != nil {
		return nil, fmt.Errorf("making packages: %w", err)
	}
	compared := installed("createrepo_c") && installed("gpg")
	if compared {
		defer p.end(ctx)
		if err := p.begin(ctx); err != nil {
			return nil, err
		}
	}
	of := fmt.Sprintf("publishing %d packages of %d files", packages, synthetic.FilesPerPackage)
	for _, s := range []struct {
		name, what, benchmark string
		theirs                func(context.Context) error
		program               string
		note                  string
	}{
		{
			name + "-first", of + " for the first time", "PublishFirst", p.first, "cp -a, createrepo_c, gpg, mv of a link",
			"ours: digests and signatures of all packages verified, all of it durable (fsync), the channel moved; theirs: nothing is verified or durable",
		},
		{
			name, of + ", one of them changed, by the Go packages", "PublishOne", p.again(true), "cp -a, createrepo_c --update --skip-stat, gpg, mv of a link",
			"ours: what is new verified and told in advisories, all of it durable (fsync), the channel moved; theirs: nothing is verified, told or durable",
		},
		{name + "-same", of + " that are published", "PublishSame", p.again(false), "cp -a, createrepo_c --update --skip-stat, gpg, mv of a link", ""},
	} {
		f := figure.Figure{Name: s.name, What: s.what, Unit: figure.Seconds, Runs: runs}
		if s.note != "" {
			f.Lines = append(f.Lines, s.note)
		}
		var ours, theirs []time.Duration
		p.copying = nil
		if _, err := p.ours(ctx, s.benchmark); err != nil { // the first one prepares, and everybody's files are in memory then
			return figures, err
		}
		for range runs {
			took, err := p.ours(ctx, s.benchmark)
			if err != nil {
				return figures, err
			}
			ours = append(ours, took)
			if !compared {
				continue
			}
			begin := time.Now()
			if err := s.theirs(ctx); err != nil {
				return figures, err
			}
			theirs = append(theirs, time.Since(begin))
			if err := p.forget(); err != nil {
				return figures, err
			}
		}
		if f.Ours = figure.Middle(ours); compared {
			f.Against(s.program, figure.Middle(theirs), runs)
			f.Lines = append(f.Lines, fmt.Sprintf("%.2f s of theirs is the copy, which links would save where nobody writes to the packages", figure.Middle(p.copying)))
		} else {
			f.Lines = append(f.Lines, "createrepo_c or gpg is not installed, nothing to compare with")
		}
		figures = append(figures, f)
	}
	return figures, nil
}

// ours runs one of the Go benchmarks once, in a process of its own.
func (p *published) ours(ctx context.Context, name string) (time.Duration, error) {
	r, err := command{
		dir: p.dir, name: p.program, env: []string{"OHPC_BUILD_BENCH_PACKAGES=" + p.pool, "OHPC_BUILD_BENCH_KEY=" + p.key},
		args: []string{"-test.run", "^$", "-test.bench", "^Benchmark" + name + "$", "-test.benchtime", "1x", "-test.cpu", strconv.Itoa(runtime.NumCPU())},
	}.call(ctx)
	if err != nil {
		return 0, err
	}
	seconds, err := nsPerOp(r.out)
	return time.Duration(seconds * float64(time.Second)), err
}

// Theirs is what is done without such a program: the published folder is copied, a
// package in it replaced, its metadata brought up to date and signed, and a link turned
// to it.

func (p *published) at(name ...string) string {
	return filepath.Join(append([]string{p.dir, "theirs"}, name...)...)
}

// begin publishes for the first time, untimed, so that there is something to update.
func (p *published) begin(ctx context.Context) (err error) {
	if p.home, err = p.folder("gpg-"); err != nil {
		return err
	}
	if err := os.MkdirAll(p.at("fresh"), 0o755); err != nil {
		return err
	}
	// The one that replaces another one is signed like the others, and lies elsewhere.
	fresh := synthetic.FileName(p.packages)
	return p.run(ctx, [][]string{
		{"gpg", "--homedir", p.home, "--batch", "--quiet", "--import", p.key},
		{"cp", "-a", p.pool, p.at("packages")},
		{"mv", p.at("packages", fresh), p.at("fresh", fresh)},
		{"cp", "-a", p.at("packages"), p.at("published")},
		{"createrepo_c", "--quiet", "--no-database", p.at("published")},
	})
}

// end ends gpg's agent, which would stay.
func (p *published) end(ctx context.Context) {
	if p.home == "" {
		return
	}
	_, _ = command{name: "gpgconf", args: []string{"--homedir", p.home, "--kill", "all"}}.call(context.WithoutCancel(ctx))
}

// run runs commands, of which the first one copies.
func (p *published) run(ctx context.Context, commands [][]string) error {
	for i, args := range commands {
		r, err := command{name: args[0], args: args[1:]}.call(ctx)
		if err != nil {
			return err
		}
		if i == 0 {
			p.copying = append(p.copying, r.took)
		}
	}
	return nil
}

func (p *published) first(ctx context.Context) error {
	return p.run(ctx, append([][]string{
		{"cp", "-a", p.at("packages"), p.at("next")},
		{"createrepo_c", "--quiet", "--no-database", p.at("next")},
	}, p.turn()...))
}

func (p *published) again(changed bool) func(context.Context) error {
	fresh, old := synthetic.FileName(p.packages), synthetic.FileName(p.packages-1)
	return func(ctx context.Context) error {
		commands := [][]string{{"cp", "-a", p.at("published"), p.at("next")}}
		if changed {
			commands = append(commands, []string{"rm", p.at("next", old)}, []string{"cp", "-a", p.at("fresh", fresh), p.at("next", fresh)})
		}
		commands = append(commands, []string{"createrepo_c", "--quiet", "--no-database", "--update", "--skip-stat", p.at("next")})
		return p.run(ctx, append(commands, p.turn()...))
	}
}

// turn signs the metadata and turns the link.
func (p *published) turn() [][]string {
	return [][]string{
		{"gpg", "--homedir", p.home, "--batch", "--yes", "--detach-sign", "--armor", p.at("next", "repodata", "repomd.xml")},
		{"ln", "-s", p.at("next"), p.at("current.new")},
		{"mv", "-T", p.at("current.new"), p.at("current")},
	}
}

// forget removes what theirs made, so that each run finds the same.
func (p *published) forget() error { return os.RemoveAll(p.at("next")) }
