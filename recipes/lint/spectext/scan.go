package spectext

import "strings"

// Reference is a place at which rpm's macro processor has something to do.
type Reference struct {
	Position
	Kind   Kind
	Name   string // of the macro; empty for Shell and Lua
	Body   string // what is run, or what follows the macro's name
	Braced bool   // %{name} rather than %name

	// Optional says that nothing comes of the macro where it is not defined:
	// %{?name}, %{!?name:…}.
	Optional bool

	// Within is what the reference is part of, so that it counts only when that
	// is expanded.
	Within Within
}

// Within is what a reference can be part of.
type Within struct {
	Define   string // the macro whose body it is in
	Optional bool   // %{?name:…}, %{!?name:…}
	Shell    bool   // %(…)
}

// Kind is what a reference is.
type Kind int

// The kinds of references.
const (
	Macro Kind = iota // %name, %{name}, %{name:…}
	Shell             // %(…)
	Lua               // %{lua:…}
)

// References are all in the text, in the order in which they begin. Comments
// count, because rpm expands macros there too; text behind %dnl does not, nor
// what %% escapes.
func (t *Text) References() []Reference { return t.references }

// Definition is a macro that the text defines.
type Definition struct {
	Position
	Name, Value string
}

// Definitions are the %define and %global of the text.
func (t *Text) Definitions() []Definition {
	var all []Definition
	for _, r := range t.references {
		if r.Kind != Macro || r.Name != "define" && r.Name != "global" {
			continue
		}
		if name, value := defined(r.Body); name != "" {
			all = append(all, Definition{r.Position, name, value})
		}
	}
	return all
}

// defined reads what follows %define.
func defined(body string) (name, value string) {
	body = strings.TrimSpace(body)
	n := nameLength(body)
	value = body[n:]
	if strings.HasPrefix(value, "(") { // its parameters
		_, value, _ = strings.Cut(value, ")")
	}
	return body[:n], strings.TrimSpace(value)
}

// maxNesting is rpm's own limit of macros in macros (rpm: macro.c).
const maxNesting = 64

type scanner struct {
	t      *Text
	found  []Reference
	within Within
}

// inside reads what is part of something.
func (s *scanner) inside(w Within, from, to, later, depth int) {
	before := s.within
	s.within = w
	s.scan(from, to, later, depth)
	s.within = before
}

// scan reads text[from:to], which will be expanded again as often as later says.
func (s *scanner) scan(from, to, later, depth int) {
	if depth > maxNesting {
		return
	}
	text := s.t.text
	for i := from; i < to; {
		if text[i] != '%' {
			i++
			continue
		}
		run := i
		for run < to && text[run] == '%' {
			run++
		}
		if run < to && active(run-i, later) {
			i = s.macro(run-1, to, later, depth)
		} else {
			i = run
		}
	}
}

// active says whether the last of n percent signs begins a macro, now or in one
// of the later expansions, of which each makes one sign of two.
func active(n, later int) bool {
	for ; n > 0 && later >= 0; n, later = n/2, later-1 {
		if n%2 == 1 {
			return true
		}
	}
	return false
}

// macro reads what begins at the percent sign at, and returns where to go on.
func (s *scanner) macro(at, to, later, depth int) int {
	text := s.t.text
	switch text[at+1] {
	case '(':
		end, after := s.bracket(at+1, to)
		s.add(at, Reference{Kind: Shell, Body: text[at+2 : end]})
		within := s.within
		within.Shell = true
		s.inside(within, at+2, end, later, depth+1)
		return after
	case '[':
		end, after := s.bracket(at+1, to)
		s.scan(at+2, end, later, depth+1)
		return after
	case '{':
		end, after := s.bracket(at+1, to)
		s.braced(at, end, later, depth)
		return after
	}
	return s.bare(at, to, later, depth)
}

// bracket is where the text in the bracket at open ends, and what follows it
// begins. One that is never closed ends with its line.
func (s *scanner) bracket(open, to int) (end, after int) {
	if end := s.t.match[open]; end > 0 && end < to {
		return end, end + 1
	}
	end = s.endOfLine(open, to)
	return end, end
}

func (s *scanner) endOfLine(from, to int) int {
	if line := s.t.position(from).Line; line < len(s.t.lines) {
		return min(s.t.lines[line]-1, to)
	}
	return to
}

// endOfDefinition is the end of the line, or of the last of those that
// backslashes and open brackets join (rpm: parseSpec.c, copyNextLineFromOFI).
func (s *scanner) endOfDefinition(from, to int) int {
	text := s.t.text
	for i := from; i < to; i++ {
		switch text[i] {
		case '\\':
			i++
		case '\n':
			return i
		case '{', '(':
			if end := s.t.match[i]; end > 0 && end < to {
				i = end
			}
		}
	}
	return to
}

// braced reads %{…}.
func (s *scanner) braced(at, end, later, depth int) {
	text := s.t.text
	i, optional := skipFlags(text, at+2, end)
	n := nameLength(text[i:end])
	name, rest := text[i:i+n], i+n
	colon := rest < end && text[rest] == ':'
	if colon {
		rest++
	}
	if name == "lua" && colon {
		s.add(at, Reference{Kind: Lua, Body: text[rest:end]})
		return
	}
	if n > 0 {
		s.add(at, Reference{Kind: Macro, Name: name, Body: text[rest:end], Braced: true, Optional: optional})
	}
	if name == "expand" || name == "global" {
		later++
	}
	within := s.within
	within.Optional = within.Optional || optional
	s.inside(within, rest, end, later, depth+1)
}

// bare reads %name, with the rest of the line where that belongs to it.
func (s *scanner) bare(at, to, later, depth int) int {
	text := s.t.text
	i, optional := skipFlags(text, at+1, to)
	n := nameLength(text[i:to])
	name, rest := text[i:i+n], i+n
	// rpm leaves shorter names alone (rpm: macro.c, expandMacro).
	if n < 3 {
		return max(rest, at+1)
	}
	switch name {
	case "dnl":
		return s.endOfLine(rest, to)
	case "define", "global":
		end := s.endOfDefinition(rest, to)
		s.add(at, Reference{Kind: Macro, Name: name, Body: text[rest:end]})
		within := s.within
		if name == "global" { // it is expanded at once, and again when used
			later++
		} else {
			within.Define, _ = defined(text[rest:end])
		}
		s.inside(within, rest, end, later, depth+1)
		return end
	}
	s.add(at, Reference{Kind: Macro, Name: name, Body: text[rest:s.endOfLine(rest, to)], Optional: optional})
	return rest
}

func (s *scanner) add(at int, r Reference) {
	r.Position, r.Within = s.t.position(at), s.within
	s.found = append(s.found, r)
}

func skipFlags(text string, i, to int) (after int, optional bool) {
	for ; i < to && (text[i] == '?' || text[i] == '!'); i++ {
		optional = optional || text[i] == '?'
	}
	return i, optional
}

// nameLength is how many bytes of a macro's name text begins with.
func nameLength(text string) int {
	n := 0
	for n < len(text) && (isNameByte(text[n]) && (n > 0 || text[n] < '0' || text[n] > '9')) {
		n++
	}
	return n
}

func isNameByte(c byte) bool {
	return c == '_' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}
