package hints

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/ohpc-build/ohpc-build/builder/sandbox"
	"github.com/ohpc-build/ohpc-build/repo/rpm"
)

// Sandbox runs a command in a container.
type Sandbox interface {
	Run(ctx context.Context, spec sandbox.Spec) error
}

const (
	// query makes rpm print a line for each thing it knows of its packages.
	query = `n%{NAME}\n[p%{PROVIDENAME}\n][r%{REQUIRENAME}\n][f%{FILENAMES}\n]`

	nobody       = 65534
	queryTimeout = 5 * time.Minute
	maxPids      = 64
	maxAnswer    = 256 << 20 // bytes
)

// RPM are the packages of a root that rpm installed, by what its own rpm says.
func RPM(ctx context.Context, sb Sandbox, layers []string) ([]Package, error) {
	var out bytes.Buffer
	err := sb.Run(ctx, sandbox.Spec{
		Name: "rpm-query", Layers: layers, Args: []string{"rpm", "--query", "--all", "--queryformat", query},
		UID: nobody, GID: nobody, ReadOnlyRoot: true, Limits: sandbox.Limits{Pids: maxPids},
		Timeout: queryTimeout, Stdout: &limited{w: &out, left: maxAnswer}, Stderr: io.Discard,
	})
	if err != nil {
		return nil, fmt.Errorf("asking rpm which packages are installed: %w", err)
	}
	return parse(&out)
}

// parse reads the answer.
func parse(answer io.Reader) ([]Package, error) {
	var packages []Package
	lines := bufio.NewScanner(answer)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		line := lines.Text()
		if line == "" {
			continue
		}
		value := line[1:]
		if line[0] == 'n' {
			packages = append(packages, Package{Name: value})
			continue
		}
		if len(packages) == 0 {
			return nil, fmt.Errorf("rpm's answer begins with %.40q, not with a package", line)
		}
		p := &packages[len(packages)-1]
		switch {
		case line[0] == 'p':
			p.Provides = append(p.Provides, value)
		case line[0] == 'r' && !strings.HasPrefix(value, "rpmlib("):
			p.Requires = append(p.Requires, value)
		case line[0] == 'f' && strings.HasPrefix(value, "/"):
			p.Files = append(p.Files, value)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("reading rpm's answer: %w", err)
	}
	return packages, nil
}

// limited is a writer that fails when too much is written.
type limited struct {
	w    io.Writer
	left int
}

func (l *limited) Write(p []byte) (int, error) {
	if l.left -= len(p); l.left < 0 {
		return 0, fmt.Errorf("more than %d bytes", maxAnswer)
	}
	return l.w.Write(p)
}

// OfHeader is a package by what its file's headers say.
func OfHeader(p *rpm.Package) Package {
	of := Package{Name: p.Name}
	for d := range p.Provides() {
		of.Provides = append(of.Provides, d.Name)
	}
	for d := range p.Requires() {
		of.Requires = append(of.Requires, d.Name)
	}
	for f := range p.Files() {
		if !f.IsDir() {
			of.Files = append(of.Files, f.Path())
		}
	}
	return of
}
