package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"syscall"
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
// counts, and large ones, where reading and writing does. They are as many as make the
// start of a program a small part of each: it is throughput that is compared.
func batches() []batch {
	return []batch{
		{"sign", "rsa", 100, 32 << 10},
		{"sign-ed25519", "ed25519", 400, 32 << 10},
		{"sign-large", "rsa", 20, 8 << 20},
	}
}

// signing signs packages with keys that ohpc-build makes. All make what rpmsign
// makes unless told otherwise: one signature, over the header.
func signing(ctx context.Context, b *bench) ([]figure.Figure, error) {
	ours := filepath.Join(b.work, "library.test")
	build := command{name: "go", args: []string{"test", "-c", "-o", ours, libraryBenchmarks}}
	if _, err := build.call(ctx); err != nil {
		return nil, err
	}
	var figures []figure.Figure
	for _, s := range batches() {
		f, err := b.signBatch(ctx, s, ours)
		if err != nil {
			return figures, err
		}
		figures = append(figures, f)
	}
	return figures, nil
}

func (b *bench) signBatch(ctx context.Context, s batch, program string) (figure.Figure, error) {
	f := figure.Figure{
		Name: s.name, Unit: figure.Seconds, Runs: b.times(5),
		What: fmt.Sprintf("signing %d packages of %d KiB with %s, by the Go packages, %d at a time", s.packages, s.bulk>>10, s.algorithm, runtime.NumCPU()),
	}
	dir, err := b.folder("signing-")
	if err != nil {
		return f, err
	}
	defer os.RemoveAll(dir)
	r := &signRound{unsigned: filepath.Join(dir, "unsigned")}
	if err := synthetic.Packages(r.unsigned, s.packages, s.bulk); err != nil {
		return f, fmt.Errorf("making packages: %w", err)
	}
	generate := command{dir: b.work, name: b.program, args: []string{"key", "generate", "--algorithm", s.algorithm, "--state", dir}}
	if _, err := generate.call(ctx); err != nil {
		return f, err
	}
	key := filepath.Join(dir, "keys", "signing.asc")

	ours := &signer{program: "ours", dir: filepath.Join(dir, "ours"), start: func([]string) []command {
		return []command{{name: program, env: []string{"OHPC_BUILD_BENCH_PACKAGES=" + filepath.Join(dir, "ours"), "OHPC_BUILD_BENCH_KEY=" + key}, args: []string{
			"-test.run", "^$", "-test.bench", "^BenchmarkSign$", "-test.benchtime", "1x", "-test.timeout", "30m",
		}}}
	}}
	r.signers = []*signer{ours}
	peers := installed("rpmsign") && installed("rpmkeys") && installed("gpg")
	if peers {
		home := filepath.Join(dir, "gnupg")
		defer func() { // its agent would stay
			_, _ = command{name: "gpgconf", args: []string{"--homedir", home, "--kill", "all"}}.call(context.WithoutCancel(ctx))
		}()
		one, many, err := rpmsign(ctx, dir, home, key)
		if err != nil {
			return f, err
		}
		r.signers = append(r.signers, one, many)
	}
	if err := r.run(ctx, f.Runs); err != nil {
		return f, err
	}
	if peers {
		if err := r.verify(ctx, b.program, dir); err != nil {
			return f, err
		}
	}
	f.Ours, f.CPU = figure.Middle(ours.took), figure.Middle(ours.cpu)
	if !peers {
		f.Lines = append(f.Lines, "rpmsign, rpmkeys or gpg is not installed, nothing to compare with")
		return f, nil
	}
	best := r.signers[1]
	for _, peer := range r.signers[1:] {
		took := figure.Middle(peer.took)
		f.Lines = append(f.Lines, fmt.Sprintf("%s: %.2f s, %.1f times as long as ours", peer.program, took, took/f.Ours))
		if took < figure.Middle(best.took) {
			best = peer
		}
	}
	f.Against(best.program, figure.Middle(best.took), f.Runs)
	return f, nil
}

// rpmsign is rpmsign with the key in a home of gpg: as people run it, in one
// process, and in as many at once as there are processors.
func rpmsign(ctx context.Context, dir, home, key string) (one, many *signer, err error) {
	gpg, err := exec.LookPath("gpg") // rpm looks for it elsewhere, too
	if err != nil {
		return nil, nil, err
	}
	if err := os.Mkdir(home, 0o700); err != nil {
		return nil, nil, err
	}
	imported := command{name: gpg, args: []string{"--homedir", home, "--batch", "--quiet", "--import", key}}
	if _, err := imported.call(ctx); err != nil {
		return nil, nil, err
	}
	start := func(processes int) func([]string) []command {
		return func(files []string) []command {
			var all []command
			for i := range min(processes, len(files)) {
				args := []string{"--define", "_gpg_path " + home, "--define", "_gpg_name ohpc-build", "--define", "__gpg " + gpg, "--addsign"}
				for at := i; at < len(files); at += processes {
					args = append(args, files[at])
				}
				all = append(all, command{name: "rpmsign", args: args})
			}
			return all
		}
	}
	processes := runtime.NumCPU()
	return &signer{program: "rpmsign --addsign *.rpm", dir: filepath.Join(dir, "one"), start: start(1)},
		&signer{program: fmt.Sprintf("%d of rpmsign --addsign at once", processes), dir: filepath.Join(dir, "many"), start: start(processes)}, nil
}

// signer is a way to sign files, in place.
type signer struct {
	program string
	dir     string                   // for its copies
	start   func([]string) []command // to be run at once
	took    []time.Duration
	cpu     []time.Duration // of the processes that were started, without gpg-agent
}

// signRound lets signers sign copies of the same packages, one signer after the
// other, again and again.
type signRound struct {
	unsigned string
	signers  []*signer
}

// run measures each n times, after a first time that counts for none: then files
// are in memory, and gpg-agent runs and has read the key. Programs are started and
// read the key each time.
func (r *signRound) run(ctx context.Context, n int) error {
	for i := range n + 1 {
		for _, s := range r.signers {
			took, cpu, err := r.once(ctx, s)
			if err != nil {
				return err
			}
			if i > 0 {
				s.took, s.cpu = append(s.took, took), append(s.cpu, cpu)
			}
		}
	}
	return nil
}

func (r *signRound) once(ctx context.Context, s *signer) (took, cpu time.Duration, err error) {
	if err := os.RemoveAll(s.dir); err != nil {
		return 0, 0, err
	}
	if err := os.CopyFS(s.dir, os.DirFS(r.unsigned)); err != nil {
		return 0, 0, err
	}
	files, err := rpms(s.dir)
	if err != nil {
		return 0, 0, err
	}
	syscall.Sync() // nobody has to write what was copied for another
	commands := s.start(files)
	used := make([]time.Duration, len(commands))
	begin := time.Now()
	group, ctx := errgroup.WithContext(ctx)
	for i, c := range commands {
		group.Go(func() error {
			result, err := c.call(ctx)
			used[i] = result.cpu
			return err
		})
	}
	err = group.Wait()
	took = time.Since(begin)
	for _, d := range used {
		cpu += d
	}
	return took, cpu, err
}

// verify asks rpm about all that was signed in the end with the key in a state
// folder.
func (r *signRound) verify(ctx context.Context, program, state string) error {
	export := command{name: program, args: []string{"key", "export", "--state", state}}
	public, err := export.call(ctx)
	if err != nil {
		return err
	}
	key, db := filepath.Join(state, "public.asc"), filepath.Join(state, "rpmdb")
	if err := os.WriteFile(key, public.out, 0o644); err != nil {
		return err
	}
	if _, err := (command{name: "rpmkeys", args: []string{"--dbpath", db, "--import", key}}).call(ctx); err != nil {
		return err
	}
	for _, s := range r.signers {
		files, err := rpms(s.dir)
		if err != nil {
			return err
		}
		check := command{name: "rpmkeys", args: append([]string{"--dbpath", db, "--define", "_pkgverify_level all", "--checksig"}, files...)}
		if _, err := check.call(ctx); err != nil {
			return fmt.Errorf("what %s has signed: %w", s.program, err)
		}
	}
	return nil
}

func rpms(dir string) ([]string, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.rpm"))
	slices.Sort(files)
	return files, err
}
