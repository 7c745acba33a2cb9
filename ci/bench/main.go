package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/ohpc-build/ohpc-build/ci/bench/figure"
)

// benchmark measures one or more figures.
type benchmark struct {
	name string
	run  func(context.Context, *bench) ([]figure.Figure, error)
	slow bool // runs only when it is asked for
}

// benchmarks in the order in which they run: what takes long and is to find
// everything cold comes first.
func benchmarks() []benchmark {
	return []benchmark{
		{name: "plan-first", run: planFirst},
		{name: "plan-again", run: planAgain},
		{name: "plan-touched", run: planTouched},
		{name: "plan-identical", run: planIdentical},
		{name: "plan-right", run: planRight},
		{name: "meta", run: metaPackages},
		{name: "noop", run: noop},
		{name: "large-noop", run: noopLarge, slow: true},
		{name: "large-matrix", run: matrixLarge, slow: true},
		{name: "repodata", run: repodata},
		{name: "large-repodata", run: repodataLarge, slow: true},
		{name: "sign", run: signing},
		{name: "publish", run: publishing},
		{name: "large-publish", run: publishingLarge, slow: true},
		{name: "overhead", run: overhead, slow: true},
		{name: "emulation-native", run: emulation, slow: true},
		{name: "emulation-plain", run: emulationPlain, slow: true},
	}
}

// options are the program's flags.
type options struct {
	program string
	tree    string
	state   string
	only    string
	runs    int
	out     string
	check   bool
}

func main() {
	var opt options
	flag.StringVar(&opt.program, "program", "bin/ohpc-build", "the built ohpc-build")
	flag.StringVar(&opt.tree, "tree", "", "folder of an OpenHPC checkout to plan; it must be trusted (default: a synthetic one)")
	flag.StringVar(&opt.state, "state", os.Getenv("OHPC_BUILD_TEST_STATE"), "state folder with images, which are made there if need be (default: the user's)")
	flag.StringVar(&opt.only, "bench", "", "only these: a name, or how it begins; several with commas")
	flag.IntVar(&opt.runs, "runs", 0, "measure each figure so often (default: 1 to 5 times, by how long it takes)")
	flag.StringVar(&opt.out, "out", "out", "folder for bench.json")
	flag.BoolVar(&opt.check, "check", false, "exit with 1 when a limit is missed")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	status, err := run(ctx, opt, flag.Args())
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
	}
	os.Exit(status)
}

// run measures and prints. The status is 1 when a benchmark failed or, if it is
// asked for, a limit was missed; 2 when nothing could be measured.
func run(ctx context.Context, opt options, args []string) (status int, err error) {
	chosen := choose(opt.only)
	if len(args) > 0 || len(chosen) == 0 {
		return 2, fmt.Errorf("there is no benchmark %q; there are %s", cmp.Or(strings.Join(args, " "), opt.only), strings.Join(names(), ", "))
	}
	b, err := newBench(ctx, opt)
	if err != nil {
		return 2, err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	report := &figure.Report{Machine: figure.ThisMachine(ctx, b.program)}
	for _, bm := range chosen {
		b.say("%s …", bm.name)
		load, _, _ := strings.Cut(figure.Load(), " ")
		figures, err := bm.run(ctx, b)
		if cause := context.Cause(ctx); cause != nil {
			return 1, cause
		}
		if err != nil {
			report.Failed = append(report.Failed, figure.Failed{Name: bm.name, Error: err.Error()})
		}
		for _, f := range figures {
			f.Load = load
			report.Figures = append(report.Figures, f)
		}
	}
	report.Tree = b.treeLine()
	report.Machine.After = figure.Load()
	if err := report.Text(os.Stdout); err != nil {
		return 1, err
	}
	if err := keep(report, filepath.Join(opt.out, "bench.json")); err != nil {
		return 1, err
	}
	if len(report.Failed) > 0 || opt.check && report.Missed() {
		return 1, nil
	}
	return 0, nil
}

func choose(only string) []benchmark {
	wanted := strings.Split(only, ",")
	return slices.DeleteFunc(benchmarks(), func(bm benchmark) bool {
		return !slices.ContainsFunc(wanted, func(w string) bool { return strings.HasPrefix(bm.name, w) && (w != "" || !bm.slow) })
	})
}

func names() []string {
	var all []string
	for _, bm := range benchmarks() {
		all = append(all, bm.name)
	}
	return all
}

func keep(report *figure.Report, path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("keeping the figures: %w", err)
	}
	f, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("keeping the figures: %w", err)
	}
	defer f.Close()
	if err := report.JSON(f); err != nil {
		return err
	}
	return f.Close()
}
