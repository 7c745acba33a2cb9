package client

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Script is a package's script that failed. For most of them package managers go on,
// and end as if all were well.
type Script struct {
	Name    string   // %post, %triggerin, …; dnf alone calls it POSTIN
	Package string   // name-version-release.arch, or only the name
	How     string   // exit status 3, signal 9, …
	Output  []string // the last lines that were printed before
}

// String tells it, with what it printed below.
func (s Script) String() string {
	lines := []string{s.Name + " of " + s.Package + " failed"}
	if s.How != "" {
		lines[0] += ": " + s.How
	}
	for _, line := range s.Output {
		lines = append(lines, "    "+line)
	}
	return strings.Join(lines, "\n")
}

// Of says whether it is a script of an installed package. A name alone fits all of its
// versions.
func (s Script) Of(i Installed) bool {
	return s.Package == i.String() || s.Package == i.withoutEpoch() || s.Package == i.Name
}

// Bounds of what is read and kept. What is printed is the packages' as much as the
// package manager's.
const (
	maxLine    = 8 << 10 // bytes that are looked at together
	overlap    = 1 << 10 // bytes of a longer line that are looked at again with what follows
	maxOutput  = 10      // lines that are kept of a script's output
	maxShown   = 300     // bytes of each
	maxScripts = 50
)

// What tells of a script that failed. A script that ends without a line's end has
// the message on the line of its own words.
var (
	// rpm: rpmscript.c, runExtScript
	byRPM = regexp.MustCompile(`(?:warning: |error: )?(%[a-z]+)\(([^()\s]+)\) scriptlet failed, (.*)`)
	// rpm: rpmlua.c, rpmluaRunScript; rpm 4.20 has it as "Lua script failed"
	byLua = regexp.MustCompile(`(?:warning: |error: )?[Ll]ua script failed: (\[string "(%[a-z]+)\(([^()\s]+)\)"\].*)`)
	// libzypp runs %posttrans itself (libzypp: RpmPostTransCollector.cc)
	byZypp = regexp.MustCompile(`(\S+?)(?:\.rpm)? (%[a-z]+) script failed \(([^)]*)\)`)
	// dnf: rpmtrans.py, _scriptError; dnf5: transaction_callbacks.cpp
	byDNF = regexp.MustCompile(`(?i)error in (\S+) scriptlet(?: in rpm package|:) (\S+)`)

	// begins is a line of a package manager's own behind which a script's output begins.
	begins = regexp.MustCompile(`^(  [A-Z][a-z ]+: |\([0-9]+/[0-9]+\) |Additional rpm output:|Output of .* script:|Executing %)`)
)

// scripts finds in what a package manager prints which scripts failed.
type scripts struct {
	failed []Script
	line   []byte
	output []string // since a script may have begun
	twice  int      // failures that rpm has told of, and dnf may tell of again
}

// Write implements [io.Writer]; it never fails.
func (s *scripts) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		part, rest, ended := bytes.Cut(p, []byte("\n"))
		if room := maxLine - len(s.line); len(part) > room {
			s.line = append(s.line, part[:room]...)
			p = p[room:]
			s.read(string(s.line))
			s.line = append(s.line[:0], s.line[len(s.line)-overlap:]...)
			continue
		}
		s.line = append(s.line, part...)
		if ended {
			s.read(string(s.line))
			s.line = s.line[:0]
		}
		p = rest
	}
	return n, nil
}

// close ends the reading.
func (s *scripts) close() []Script {
	s.read(string(s.line))
	s.line = nil
	return s.failed
}

func (s *scripts) read(line string) {
	line = strings.TrimRight(strings.ToValidUTF8(line, "\uFFFD"), " \r")
	switch m, before := find(line); {
	case m != nil:
		s.keep(before)
		m.Output = s.output
		s.output = nil
		s.add(*m)
	case begins.MatchString(line):
		s.output, s.twice = nil, 0
	default:
		s.keep(line)
	}
}

// find finds a failure in a line, and what stands before it.
func find(line string) (*Script, string) {
	for _, form := range []struct {
		pattern             *regexp.Regexp
		name, of, how, part int
	}{{byRPM, 1, 2, 3, 0}, {byLua, 2, 3, 1, 0}, {byZypp, 2, 1, 3, 1}, {byDNF, 1, 2, 0, 1}} {
		m := form.pattern.FindStringSubmatchIndex(line)
		if m == nil {
			continue
		}
		group := func(i int) string { return shorten(line[m[2*i]:m[2*i+1]]) }
		found := &Script{Name: group(form.name), Package: group(form.of)}
		if form.how > 0 {
			found.How = group(form.how)
		}
		if form.part > 0 { // a line of the manager's own
			return found, ""
		}
		return found, line[:m[0]]
	}
	return nil, ""
}

// add takes up a failure. dnf tells again in words of its own what rpm has told, and
// of a trigger it names the package that pulled it.
func (s *scripts) add(f Script) {
	switch {
	case f.How != "":
		s.twice++
	case s.twice > 0:
		s.twice--
		return
	}
	same := func(o Script) bool { return o.Name == f.Name && o.Package == f.Package && o.How == f.How }
	if len(s.failed) < maxScripts && !slices.ContainsFunc(s.failed, same) {
		s.failed = append(s.failed, f)
	}
}

// keep keeps a line of output. Debian's rpm prefaces what it does with warnings.
func (s *scripts) keep(line string) {
	if strings.TrimSpace(line) == "" || strings.HasPrefix(line, "rpm: ") {
		return
	}
	if len(s.output) == maxOutput {
		s.output = slices.Clone(s.output[1:])
	}
	s.output = append(s.output, shorten(strings.TrimPrefix(line, "    "))) // libzypp indents what it shows of %posttrans
}

func shorten(text string) string {
	if len(text) <= maxShown {
		return text
	}
	return strings.ToValidUTF8(text[:maxShown], "") + "…"
}

// unnamed is a failure of which a package manager only says that there is one.
func unnamed(manager string, status int) Script {
	return Script{Name: "a script", Package: "one of the packages", How: fmt.Sprintf("%s ended with status %d", manager, status)}
}

// told is all of some failures.
func told(failed []Script) string {
	lines := make([]string, len(failed))
	for i, f := range failed {
		lines[i] = f.String()
	}
	return strings.Join(lines, "\n")
}
