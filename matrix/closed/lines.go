package closed

import (
	"bytes"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/ohpc-build/ohpc-build/matrix/plan"
	"github.com/ohpc-build/ohpc-build/matrix/plan/specline"
)

// lines finds where requirements are written.
type lines struct {
	in    Input
	texts map[string][]byte         // by file
	found map[string]*specline.Text // by file and what of it is searched
}

func newLines(in Input) *lines {
	return &lines{in: in, texts: map[string][]byte{}, found: map[string]*specline.Text{}}
}

// of is the file and the line of a requirement: in the part of the spec that is about
// the package, or else anywhere in it or in what it includes itself. The line is 0
// when it is not found.
func (l *lines) of(s subject, kind Kind, requirement string) (file string, line int) {
	spec, tag := s.job.Spec, specline.BuildRequires
	if kind == Requires {
		tag = specline.Requires
		if line, _ := l.part(s).Find(tag, requirement); line > 0 {
			return spec, line
		}
	}
	whole := l.whole(spec)
	line, best := whole.Find(tag, requirement)
	file = spec
	for _, f := range s.job.Files {
		if f != spec && slices.Contains(whole.Includes(), path.Base(f)) {
			if n, likeness := l.whole(f).Find(tag, requirement); likeness > best {
				file, line, best = f, n, likeness
			}
		}
	}
	return file, line
}

func (l *lines) whole(file string) *specline.Text {
	t := l.found[file]
	if t == nil {
		t = specline.Read(l.text(file))
		l.found[file] = t
	}
	return t
}

// What is searched at most, in bytes: of a file, and of the value of a macro.
const (
	maxText  = 1 << 20
	maxValue = 64
)

// text is empty when the file cannot be read.
func (l *lines) text(file string) []byte {
	text, ok := l.texts[file]
	if !ok && file != "" {
		text, _ = l.in.Text(file)
		text = text[:min(len(text), maxText)]
		l.texts[file] = text
	}
	return text
}

// part is the spec with nothing but the lines that are about the package, for
// meta-packages repeat themselves. Macros are expanded as far as that is simple.
func (l *lines) part(s subject) *specline.Text {
	key := s.job.Spec + "\x00" + s.job.Name() + "\x00" + s.name
	t := l.found[key]
	if t == nil {
		text := l.expanded(s.job)
		t = specline.Read(only(text, partOf(text, s.name)))
		l.found[key] = t
	}
	return t
}

// constant is the definition of a macro that has a plain value, or a default:
// %{!?compiler_family: %global compiler_family gnu14}
var constant = regexp.MustCompile(`(?m)^[ \t]*(?:%\{!\?\w+:[ \t]*)?%(?:global|define)[ \t]+(\w+)[ \t]+([^%\s{}]+)\}?[ \t]*$`)

// expanded is the spec with what it is told of families and with constants put in.
// Where a constant depends on a condition the first one may be wrong.
func (l *lines) expanded(j *plan.Job) []byte {
	values := map[string]string{}
	for _, d := range l.in.Defines(j) {
		values[d.Name] = d.Value
	}
	spec := l.text(j.Spec)
	texts := [][]byte{spec}
	for _, f := range j.Files {
		if f != j.Spec && slices.Contains(l.whole(j.Spec).Includes(), path.Base(f)) {
			texts = append(texts, l.text(f))
		}
	}
	for _, text := range texts {
		for _, m := range constant.FindAllSubmatch(text, -1) {
			if _, ok := values[string(m[1])]; !ok {
				values[string(m[1])] = string(m[2])
			}
		}
	}
	return macro.ReplaceAllFunc(spec, func(text []byte) []byte {
		value, ok := values[string(text[len("%{"):len(text)-len("}")])]
		if !ok || len(value) > maxValue || strings.ContainsAny(value, "%\n") { // lines stay lines
			return text
		}
		return []byte(value)
	})
}

var macro = regexp.MustCompile(`%\{\w+\}`)

// packageLine begins what a spec says about a subpackage.
const packageLine = "%package"

// partOf is the number of the line that begins what is about a package: a
// %package with its name, or 1.
func partOf(text []byte, name string) int {
	var headers bytes.Buffer // with requirements in place of names, and nothing else
	for line := range bytes.Lines(text) {
		if f := strings.Fields(string(line)); len(f) > 1 && f[0] == packageLine {
			headers.WriteString("Requires: ")
			if f[1] == "-n" && len(f) > 2 {
				headers.WriteString(f[2])
			} else {
				headers.WriteString("%{name}-" + f[1])
			}
		}
		headers.WriteByte('\n')
	}
	line, _ := specline.Read(headers.Bytes()).Find(specline.Requires, name)
	return max(line, 1)
}

// only is the text without what is not of the part that begins at a line; what is
// left keeps its line.
func only(text []byte, begin int) []byte {
	var part bytes.Buffer
	number := 0
	for line := range bytes.Lines(text) {
		number++
		other := number != begin && sectionLine(line)
		if number > begin && other {
			break
		}
		if number >= begin {
			part.Write(line)
		} else {
			part.WriteByte('\n')
		}
	}
	return part.Bytes()
}

// sectionLine says whether a line ends the tags of a package (rpm: build/parseSpec.c,
// partList).
func sectionLine(line []byte) bool {
	f := bytes.Fields(line)
	return len(f) > 0 && slices.Contains([]string{packageLine, "%description", "%prep", "%build", "%install", "%files", "%changelog"}, string(f[0]))
}
