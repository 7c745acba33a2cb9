package main

import (
	"context"
	"errors"
	"regexp"
	"strconv"
	"time"

	"github.com/ohpc-build/ohpc-build/ci/bench/figure"
)

// libraryBenchmarks is the Go package of benchmarks for what no command does alone.
const libraryBenchmarks = "./ci/bench/library"

// goBenchmark runs a Go benchmark of a package n times, with so many processors,
// and returns the median of how long its body takes once, in seconds.
func goBenchmark(ctx context.Context, pkg, name string, processors, n int, env ...string) (float64, error) {
	c := command{name: "go", env: env, args: []string{
		"test", "-run", "^$", "-bench", "^" + name + "$", "-benchtime", "1x", "-timeout", "30m",
		"-cpu", strconv.Itoa(processors), "-count", strconv.Itoa(n), pkg,
	}}
	r, err := c.call(ctx)
	if err != nil {
		return 0, err
	}
	return nsPerOp(r.out)
}

var benchmarkLine = regexp.MustCompile(`(?m)^Benchmark\S+\s+\d+\s+([0-9.]+) ns/op`)

func nsPerOp(out []byte) (float64, error) {
	var times []time.Duration
	for _, m := range benchmarkLine.FindAllSubmatch(out, -1) {
		ns, err := strconv.ParseFloat(string(m[1]), 64)
		if err != nil {
			return 0, err
		}
		times = append(times, time.Duration(ns))
	}
	if len(times) == 0 {
		return 0, errors.New("go test ran no benchmark: " + lastLines(string(out), 5))
	}
	return figure.Middle(times), nil
}
