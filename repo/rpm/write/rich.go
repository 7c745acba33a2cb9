package write

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/ohpc-build/ohpc-build/repo/rpm"
)

// rich is an expression such as "(a if b >= 2)" that has been read.
type rich struct {
	text     string // as rpm writes it
	versions string // all that are in it, one after the other
	bits     richBits
}

// richBits say where in an expression a package may not be named, lest nobody
// can tell what is meant: an "if" inside of "or", an "unless" inside of "and"
// (rpm: rpmds.c, rpmrichParseInternal).
type richBits uint8

const (
	noWith richBits = 1 << iota // not inside of with and without
	noAnd
	noOr
)

func (b richBits) conflict(inside richBits) error {
	switch {
	case b&inside&noWith != 0:
		return errors.New("only or and with may stand inside of with and without")
	case b&inside&noAnd != 0:
		return errors.New("unless stands where only what is joined by or may; use or instead of unless")
	case b&inside&noOr != 0:
		return errors.New("if stands where only what is joined by and may; use and instead of if")
	}
	return nil
}

// maxRichDepth bounds how deep expressions are nested.
const maxRichDepth = 64

// richParser reads an expression word by word, as rpm does.
type richParser struct {
	rest     string
	text     strings.Builder
	versions strings.Builder
}

func parseRich(text string) (rich, error) {
	if len(text) > maxName {
		return rich{}, fmt.Errorf("an expression has %d bytes, allowed are %d", len(text), maxName)
	}
	p := richParser{rest: text}
	bits, err := p.group(0)
	if err == nil && strings.TrimFunc(p.rest, isSeparator) != "" {
		err = fmt.Errorf("%q follows its end", p.rest)
	}
	if err != nil {
		return rich{}, fmt.Errorf("%q is not an expression that rpm understands: %w", text, err)
	}
	return rich{p.text.String(), p.versions.String(), bits}, nil
}

// group reads one pair of parentheses, at the first of which the parser stands.
func (p *richParser) group(depth int) (richBits, error) {
	if depth > maxRichDepth {
		return 0, fmt.Errorf("it is nested deeper than %d", maxRichDepth)
	}
	p.rest = p.rest[1:]
	p.text.WriteByte('(')
	var bits richBits
	var first, op, chain string
	for {
		p.skip()
		switch {
		case p.rest == "":
			return 0, errors.New("it does not end")
		case p.rest[0] == ')':
			return 0, errors.New("something is missing before a ')'")
		case p.rest[0] == '(':
			inner, err := p.group(depth + 1)
			if err != nil {
				return 0, err
			}
			if op == "if" || op == "unless" { // its right side is only a condition
				inner &^= noAnd | noOr
			}
			bits |= inner
		default:
			if err := p.simple(); err != nil {
				return 0, err
			}
		}
		p.skip()
		if strings.HasPrefix(p.rest, ")") {
			break
		}
		op = p.operator()
		if !slices.Contains([]string{"and", "or", "if", "unless", "else", "with", "without"}, op) {
			return 0, fmt.Errorf("%q is not an operator", op)
		}
		if first == "" {
			first = op
		}
		if op == "else" {
			if chain != "if" && chain != "unless" {
				return 0, errors.New("there is an else without an if")
			}
			chain = ""
		}
		if chain != "" && op != chain {
			return 0, fmt.Errorf("%s and %s are joined without parentheses", chain, op)
		}
		if chain != "" && op != "and" && op != "or" && op != "with" {
			return 0, fmt.Errorf("%s cannot be repeated", op)
		}
		chain = op
		p.text.WriteString(" " + op + " ")
	}
	p.rest = p.rest[1:]
	p.text.WriteByte(')')
	if err := bits.conflict(forbiddenIn[first]); err != nil {
		return 0, err
	}
	switch first {
	case "if":
		bits |= noOr
	case "unless":
		bits |= noAnd
	}
	if op == "and" || op == "or" {
		bits &^= noAnd | noOr
	}
	if op != "" && op != "with" && op != "without" && op != "or" {
		bits |= noWith
	}
	return bits, nil
}

// forbiddenIn is what may not stand under an operator.
var forbiddenIn = map[string]richBits{
	"with": noWith, "without": noWith,
	"and": noAnd, "if": noAnd,
	"or": noOr, "unless": noOr,
}

// simple reads a name and, if there is one, a comparison with a version.
func (p *richParser) simple() error {
	d := rpm.Dependency{Name: p.word()}
	p.skip()
	before := p.rest
	if flags, ok := operators[p.word()]; ok {
		p.skip()
		d.Flags, d.Version = flags, p.word()
	} else {
		p.rest = before
	}
	if err := (relation{}).check(d); err != nil {
		return err
	}
	p.text.WriteString(d.String())
	p.versions.WriteString(d.Version)
	return nil
}

func (p *richParser) skip() { p.rest = strings.TrimLeftFunc(p.rest, isSeparator) }

// word reads to the next separator or closing parenthesis, but for those that
// belong to it as in "libc.so.6()(64bit)".
func (p *richParser) word() string {
	open := 0
	end := strings.IndexFunc(p.rest, func(r rune) bool {
		switch r {
		case '(':
			open++
		case ')':
			open--
		}
		return isSeparator(r) || open < 0
	})
	return p.cut(end)
}

func (p *richParser) operator() string {
	return p.cut(strings.IndexFunc(p.rest, func(r rune) bool { return isSeparator(r) && r != ',' || r == ')' }))
}

func (p *richParser) cut(end int) string {
	if end < 0 {
		end = len(p.rest)
	}
	word := p.rest[:end]
	p.rest = p.rest[end:]
	return word
}
