package spec

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/ohpc-build/ohpc-build/recipes/spec/headers"
)

// Result is what a spec would build.
type Result struct {
	// Source is the source package: what it requires is what building takes.
	Source headers.Header `json:"source"`
	// Packages are those that rpm would really write.
	Packages []headers.Header `json:"packages"`
	// Unbuilt are the names of packages that the spec declares, but that rpm
	// never writes, because they have no %files.
	Unbuilt  []string `json:"unbuilt,omitempty"`
	Warnings []string `json:"warnings,omitempty"` // rpm's own words
}

// answer makes sense of what rpmspec said.
func (e *Evaluator) answer(q Query, o *outcome) Answer {
	if o.timeout {
		return Answer{Err: &ParseError{File: q.Path, Messages: []string{"rpmspec did not come to an end within a minute"}}}
	}
	for _, out := range []output{o.packages, o.source, o.declared} {
		if out.status != 0 {
			err := failure(q, out.errout)
			var mistake *ParseError
			if errors.As(err, &mistake) {
				e.locateInclude(q, mistake)
			}
			return Answer{Err: err}
		}
	}
	sources, err := headers.Parse(o.source.out)
	if err == nil && len(sources) != 1 {
		err = fmt.Errorf("it describes %d source packages instead of one", len(sources))
	}
	if err != nil {
		return unreadable(q, err)
	}
	source := sources[0]
	switch {
	case len(source.BuildArch) > 0 && !slices.Contains(source.BuildArch, q.Arch) && !slices.Contains(source.BuildArch, "noarch"):
		return Answer{Err: &SkipError{File: q.Path, Arch: q.Arch, Reason: noArch}}
	// rpmspec leaves these two to rpmbuild (rpm: checkForValidArchitectures).
	case len(source.ExclusiveArch) > 0 && !slices.Contains(source.ExclusiveArch, q.Arch):
		return Answer{Err: &SkipError{File: q.Path, Arch: q.Arch, Reason: "ExclusiveArch: " + strings.Join(source.ExclusiveArch, " ")}}
	case slices.Contains(source.ExcludeArch, q.Arch):
		return Answer{Err: &SkipError{File: q.Path, Arch: q.Arch, Reason: "ExcludeArch: " + strings.Join(source.ExcludeArch, " ")}}
	}
	built, err := headers.Parse(o.packages.out)
	if err != nil {
		return unreadable(q, err)
	}
	declared, err := headers.Parse(o.declared.out)
	if err != nil {
		return unreadable(q, err)
	}
	result := &Result{Source: source, Packages: built, Warnings: append(complaints(o.packages.errout, "error: "), complaints(o.packages.errout, "warning: ")...)}
	for _, d := range declared {
		if !slices.ContainsFunc(built, func(b headers.Header) bool { return b.Name == d.Name }) {
			result.Unbuilt = append(result.Unbuilt, d.Name)
		}
	}
	return Answer{Result: result}
}

func unreadable(q Query, err error) Answer {
	return Answer{Err: &ParseError{File: q.Path, Messages: []string{"what rpmspec says about it cannot be read: " + err.Error()}}}
}

// noArch is rpm's own word for a BuildArch that does not fit.
const noArch = "No compatible architectures found for build"

var (
	errorLine   = regexp.MustCompile(`^(?:\S*: )?line (\d+): `)
	queryFailed = regexp.MustCompile(`^query of specfile .* failed, can't parse$`)
)

// failure finds rpm's own words among what a spec's commands printed.
func failure(q Query, errout string) error {
	e := &ParseError{File: q.Path}
	for _, message := range complaints(errout, "error: ") {
		if message == noArch {
			return &SkipError{File: q.Path, Arch: q.Arch, Reason: noArch}
		}
		if queryFailed.MatchString(message) {
			continue
		}
		if m := errorLine.FindStringSubmatch(message); m != nil {
			if n, err := strconv.Atoi(m[1]); err == nil && e.Line == 0 {
				e.Line = n
				message = message[len(m[0]):]
			}
		}
		e.Messages = append(e.Messages, message)
	}
	if len(e.Messages) == 0 {
		e.Messages = []string{"rpmspec failed and does not say why"}
	}
	return e
}

// missingInclude is what rpm says of an include that it cannot open, with a path of
// the container.
var missingInclude = regexp.MustCompile(`^Unable to open \S*/([^/\s]+): (.*)$`)

// locateInclude says in terms of the spec which include cannot be opened, and in
// which line it stands; rpm tells only the path.
func (e *Evaluator) locateInclude(q Query, mistake *ParseError) {
	for i, message := range mistake.Messages {
		m := missingInclude.FindStringSubmatch(message)
		if m == nil {
			continue
		}
		mistake.Messages[i] = fmt.Sprintf("it includes %s, which lies neither in SOURCES nor with the files that all specs share", m[1])
		text, err := e.store.ReadAll(q.Spec.Digest, maxSpec)
		if err != nil {
			continue
		}
		number := 0
		for line := range strings.Lines(string(text)) {
			number++
			if fields := strings.Fields(line); len(fields) > 1 && fields[0] == "%include" && strings.HasSuffix(fields[1], m[1]) && mistake.Line == 0 {
				mistake.Line = number
			}
		}
	}
}

// complaints are the lines with a prefix, once each and not too many.
func complaints(errout, prefix string) []string {
	var lines []string
	for line := range strings.Lines(errout) {
		text, ok := strings.CutPrefix(strings.TrimSpace(line), prefix)
		if ok && !slices.Contains(lines, text) && len(lines) < 20 {
			lines = append(lines, text)
		}
	}
	return lines
}
