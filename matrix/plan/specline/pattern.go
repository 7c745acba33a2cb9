package specline

import "strings"

// pattern is a text in which macros stand for anything.
type pattern struct {
	text   string
	pieces []string // what is between the macros; one when there are none
	weight int      // letters and digits in the pieces
}

// minWeight is how many letters and digits a pattern with macros must have to
// say anything: %{name}-%{flavour} could be everything.
const minWeight = 3

func newPattern(text string) pattern {
	p := pattern{text: text}
	begin := 0
	for i := 0; i < len(text); {
		n := macro(text[i:])
		if n == 0 {
			i++
			continue
		}
		p.pieces = append(p.pieces, text[begin:i])
		i += n
		begin = i
	}
	p.pieces = append(p.pieces, text[begin:])
	for _, piece := range p.pieces {
		for _, c := range []byte(piece) {
			if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' {
				p.weight++
			}
		}
	}
	return p
}

// macro is the length of the macro that s begins with, or 0.
func macro(s string) int {
	if len(s) < 2 || s[0] != '%' {
		return 0
	}
	if strings.IndexByte("{([", s[1]) >= 0 {
		depth := 0
		for i := 1; i < len(s); i++ {
			switch {
			case strings.IndexByte("({[", s[i]) >= 0:
				depth++
			case strings.IndexByte(")}]", s[i]) >= 0:
				if depth--; depth == 0 {
					return i + 1
				}
			}
		}
		return len(s)
	}
	n := 1
	for n < len(s) && (s[n] == '_' || s[n] == '?' || s[n] == '!' || s[n]|0x20 >= 'a' && s[n]|0x20 <= 'z' || n > 1 && s[n] >= '0' && s[n] <= '9') {
		n++
	}
	if n == 1 {
		return 0
	}
	return n
}

// exact is what the match of a whole text counts.
const exact = 1 << 16

// match is how many letters and digits of s are written in the pattern, exact
// when all are, and 0 when s does not match or too little is written.
func (p pattern) match(s string) int {
	if p.text == s {
		return exact
	}
	if len(p.pieces) < 2 || p.weight < minWeight {
		return 0
	}
	first, last := p.pieces[0], p.pieces[len(p.pieces)-1]
	if len(s) < len(first)+len(last) || !strings.HasPrefix(s, first) || !strings.HasSuffix(s, last) {
		return 0
	}
	s = s[len(first) : len(s)-len(last)]
	for _, piece := range p.pieces[1 : len(p.pieces)-1] {
		i := strings.Index(s, piece)
		if i < 0 {
			return 0
		}
		s = s[i+len(piece):]
	}
	return p.weight
}
