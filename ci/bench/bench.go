package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/ohpc-build/ohpc-build/ci/bench/figure"
	"github.com/ohpc-build/ohpc-build/ci/bench/synthetic"
)

// bench is what the benchmarks have in common: the program, the tree, and a
// working folder that is removed at the end.
type bench struct {
	program string // absolute, as are all paths
	state   string // folder with the images
	work    string // on the same file system
	runs    int    // 0: as each benchmark thinks right

	tree     string // folder
	treeName string // for people

	plans *plans // what the benchmarks of the plan share
}

// small is our own small tree, relative to the folder of the checkout.
const small = "recipes/tree/testdata/openhpc"

// copies are the components that a synthetic tree has besides those of the small
// one: with them it has about as many as OpenHPC.
const copies = 60

func newBench(ctx context.Context, opt options) (b *bench, err error) {
	b = &bench{runs: opt.runs}
	if b.program, err = filepath.Abs(opt.program); err != nil {
		return nil, err
	}
	if _, err := os.Stat(b.program); err != nil {
		return nil, fmt.Errorf("%w: make build makes it", err)
	}
	cache, err := os.UserCacheDir()
	if err != nil && opt.state == "" {
		return nil, fmt.Errorf("there is no cache folder for the state (%w); name one with -state", err)
	}
	if b.state, err = filepath.Abs(cmp.Or(opt.state, filepath.Join(cache, "ohpc-build"))); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(b.state), 0o755); err != nil {
		return nil, err
	}
	// Beside the state folder, so that images can be linked.
	if b.work, err = os.MkdirTemp(filepath.Dir(b.state), "ohpc-build-bench-"); err != nil {
		return nil, err
	}
	b.plans = &plans{bench: b}
	if err := b.openTree(opt.tree); err != nil {
		return nil, errors.Join(err, b.close())
	}
	return b, ctx.Err()
}

func (b *bench) close() error { return os.RemoveAll(b.work) }

func (b *bench) openTree(tree string) (err error) {
	if tree == "" {
		b.tree, b.treeName = filepath.Join(b.work, "tree"), "synthetic tree"
		if err := synthetic.Tree(small, b.tree, copies); err != nil {
			return fmt.Errorf("making a synthetic tree (bench runs in the top folder of the checkout): %w", err)
		}
	} else if b.tree, err = filepath.Abs(tree); err != nil {
		return err
	} else {
		b.treeName = "tree " + filepath.Base(b.tree)
	}
	n, err := synthetic.CountSpecs(b.tree)
	if err != nil {
		return fmt.Errorf("the tree: %w", err)
	}
	b.treeName += fmt.Sprintf(", %d specs", n)
	return nil
}

// treeLine tells the tree that was planned, if one was.
func (b *bench) treeLine() string {
	if b.plans.jobs == "" {
		return ""
	}
	return b.treeName + ", " + b.plans.jobs
}

// times is how often to measure what is to be measured n times unless said otherwise.
func (b *bench) times(n int) int { return cmp.Or(b.runs, n) }

// say tells people what goes on.
func (*bench) say(format string, args ...any) { fmt.Fprintf(os.Stderr, "bench: "+format+"\n", args...) }

// folder makes an empty folder in the working folder.
func (b *bench) folder(pattern string) (string, error) { return os.MkdirTemp(b.work, pattern) }

// command is a program to be run and measured.
type command struct {
	dir  string
	env  []string // in addition
	name string
	args []string
}

// result is what came of a command.
type result struct {
	took time.Duration
	cpu  time.Duration // processor time, of the processes that it waited for too
	rss  int64         // bytes of memory that it had at most
	out  []byte        // on standard output

	memory int64 // bytes: the most that it, or one of the processes that it waited for, had at a time
}

// call runs it. What it left on standard error is in the error.
func (c command) call(ctx context.Context) (result, error) {
	cmd := exec.CommandContext(ctx, c.name, c.args...)
	cmd.Dir = c.dir
	cmd.Env = append(os.Environ(), c.env...)
	// Interrupted, it is to end its containers before it ends.
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	var out, errout bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errout
	begin := time.Now()
	err := cmd.Run()
	r := result{took: time.Since(begin), out: out.Bytes()}
	if cmd.ProcessState != nil {
		r.cpu = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
		if u, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
			r.memory = u.Maxrss << 10 // getrusage(2): in KiB
		}
		if usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
			r.rss = usage.Maxrss << 10 // Linux counts KiB
		}
	}
	if err != nil {
		err = fmt.Errorf("%s %s: %w: %s", filepath.Base(c.name), strings.Join(c.args[:min(10, len(c.args))], " "), err, lastLines(errout.String(), 5))
	}
	return r, err
}

// median runs it n times after having prepared each.
func (c command) median(ctx context.Context, n int, prepare func() error) (float64, error) {
	return figure.Median(n, func() (time.Duration, error) {
		if prepare != nil {
			if err := prepare(); err != nil {
				return 0, err
			}
		}
		r, err := c.call(ctx)
		return r.took, err
	})
}

func lastLines(text string, n int) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// installed says whether a peer is there to be compared with.
func installed(program string) bool {
	_, err := exec.LookPath(program)
	return err == nil
}
