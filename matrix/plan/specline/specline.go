package specline

import (
	"bytes"
	"path"
	"regexp"
	"strings"
)

// Text is a spec, or a file that specs include.
type Text struct {
	tokens   []token
	includes []string
}

// Kind is a tag.
type Kind int

// The kinds. Any is for those who do not mind.
const (
	Any Kind = iota
	BuildRequires
	Requires
)

// token is one requirement as it is written.
type token struct {
	line    int
	kind    Kind
	name    pattern
	op      string
	version pattern
}

// maxText bounds how much of a file is searched, in bytes.
const maxText = 4 << 20

var (
	// A tag stands at the beginning of a line, or behind the colon of a macro:
	// %{?with_slurm:BuildRequires: slurm-devel}
	tag     = regexp.MustCompile(`(?i)(?:^|:)\s*(BuildRequires|BuildPreReq|Requires|PreReq)\s*(?:\([^)]*\)\s*)?:(.*)$`)
	include = regexp.MustCompile(`^\s*%include\s+(\S+)`)
)

// Read reads a spec without expanding anything.
func Read(text []byte) *Text {
	t := &Text{}
	text = text[:min(len(text), maxText)]
	number := 0
	for line := range bytes.Lines(text) {
		number++
		s := strings.TrimSpace(string(line))
		if strings.HasPrefix(s, "#") || strings.HasPrefix(s, "%dnl") {
			continue
		}
		if m := include.FindStringSubmatch(s); m != nil {
			t.includes = append(t.includes, path.Base(m[1]))
			continue
		}
		m := tag.FindStringSubmatch(s)
		if m == nil {
			continue
		}
		kind := Requires
		if strings.HasPrefix(strings.ToLower(m[1]), "build") {
			kind = BuildRequires
		}
		for _, tok := range tokens(m[2]) {
			tok.line, tok.kind = number, kind
			t.tokens = append(t.tokens, tok)
		}
	}
	return t
}

// Includes are the names of the files that the text includes, without folders.
func (t *Text) Includes() []string { return t.includes }

// Find returns the number of the line that a requirement, "name" or "name >= 1"
// or a rich dependency, most likely comes from, and how many characters of it
// are written there. Both are 0 when there is none.
func (t *Text) Find(kind Kind, requirement string) (line, likeness int) {
	want := tokens(requirement)
	if len(want) == 0 {
		return 0, 0
	}
	best := 0
	for _, tok := range t.tokens {
		if kind != Any && tok.kind != kind {
			continue
		}
		// The name decides; what is compared tells apart who has the same.
		score := tok.name.match(want[0].name.text) * 4
		if score == 0 {
			continue
		}
		if tok.op == want[0].op {
			score += 2
			if tok.version.text == want[0].version.text || tok.version.match(want[0].version.text) > 0 {
				score++
			}
		}
		if score > best {
			best, line = score, tok.line
		}
	}
	return line, best / 4
}

// LineOf is the number of the line in a spec that a requirement most likely comes
// from, or 0.
func LineOf(spec []byte, requirement string) int {
	line, _ := Read(spec).Find(Any, requirement)
	return line
}

// tokens splits what follows a tag: names, each with its comparison.
func tokens(s string) []token {
	var all []token
	op := ""
	for _, w := range words(s) {
		switch {
		case strings.Trim(w, "<>=") == "":
			op = w
		case op != "" && len(all) > 0:
			all[len(all)-1].op, all[len(all)-1].version = op, newPattern(w)
			op = ""
		default:
			all = append(all, token{name: newPattern(w)})
			op = ""
		}
	}
	return all
}

// words splits at white space and commas outside of macros and of rich
// dependencies. A brace that closes what was opened before the tag ends it all.
func words(s string) []string {
	var all []string
	depth, begin := 0, -1
	end := func(i int) {
		if begin >= 0 {
			all = append(all, strings.Join(strings.Fields(s[begin:i]), " "))
		}
		begin = -1
	}
	for i := range len(s) {
		switch c := s[i]; {
		case strings.IndexByte("({[", c) >= 0:
			depth++
		case strings.IndexByte(")}]", c) >= 0:
			if depth--; depth < 0 {
				end(i)
				return all
			}
		case depth == 0 && strings.IndexByte(" \t,", c) >= 0:
			end(i)
			continue
		}
		if begin < 0 {
			begin = i
		}
	}
	end(len(s))
	return all
}
