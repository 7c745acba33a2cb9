package closure

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/ohpc-build/ohpc-build/repo/rpm"
)

// Expression is a requirement: one dependency when Op is empty, otherwise an
// operator and what it works on.
type Expression struct {
	Op   Operator
	Leaf rpm.Dependency
	Args []Expression // and, or, with: two or more; if, unless: two, or three with else; without: two
}

// Operator is the word between the parts of a rich dependency.
type Operator string

// The operators of rich dependencies (rpm: rpmds.h, rpmrichOp).
const (
	OpAnd     Operator = "and"
	OpOr      Operator = "or"
	OpIf      Operator = "if"
	OpUnless  Operator = "unless"
	OpElse    Operator = "else"
	OpWith    Operator = "with"
	OpWithout Operator = "without"
)

// What a rich dependency may be at most. Real ones have some dozen terms.
const (
	maxRich  = 64 << 10 // bytes
	maxDepth = 50
)

// Parse reads a requirement, rich or not.
func Parse(d rpm.Dependency) (Expression, error) {
	if !d.Rich() {
		return Expression{Leaf: d}, nil
	}
	if len(d.Name) > maxRich {
		return Expression{}, fmt.Errorf("it has more than %d bytes", maxRich)
	}
	p := parser{rest: d.Name}
	e, err := p.group(0)
	if err == nil && p.rest != "" {
		err = fmt.Errorf("%q follows its end", p.rest)
	}
	if err == nil {
		err = e.check()
	}
	return e, err
}

// parser reads as rpm does (rpm: rpmds.c, rpmrichParse).
type parser struct{ rest string }

// group reads from an opening parenthesis to the one that closes it.
func (p *parser) group(depth int) (Expression, error) {
	var none Expression
	if depth == maxDepth {
		return none, fmt.Errorf("it is nested more than %d deep", maxDepth)
	}
	p.rest = p.rest[1:]
	first, err := p.operand(depth)
	if err != nil {
		return none, err
	}
	e := Expression{Args: []Expression{first}}
	for {
		p.space()
		if strings.HasPrefix(p.rest, ")") {
			p.rest = p.rest[1:]
			if len(e.Args) == 1 {
				return first, nil
			}
			return e, nil
		}
		op, err := p.operator()
		if err != nil {
			return none, err
		}
		if err := e.chain(op); err != nil {
			return none, err
		}
		arg, err := p.operand(depth)
		if err != nil {
			return none, err
		}
		e.Args = append(e.Args, arg)
	}
}

// chain says whether op may follow what there is, and takes it.
func (e *Expression) chain(op Operator) error {
	switch {
	case op == OpElse:
		if e.Op != OpIf && e.Op != OpUnless || len(e.Args) != 2 {
			return errors.New("there is an else without its if or unless")
		}
		return nil // the third argument of the if
	case e.Op == "":
		e.Op = op
		return nil
	case e.Op != op:
		return fmt.Errorf("%s and %s stand side by side without parentheses", e.Op, op)
	case op == OpAnd || op == OpOr || op == OpWith:
		return nil
	}
	return fmt.Errorf("%s stands twice in one pair of parentheses", op)
}

func (p *parser) operand(depth int) (Expression, error) {
	p.space()
	if strings.HasPrefix(p.rest, "(") {
		return p.group(depth + 1)
	}
	name := p.word()
	if name == "" {
		return Expression{}, p.missing("a name")
	}
	d := rpm.Dependency{Name: name}
	p.space()
	n := len(p.rest) - len(strings.TrimLeft(p.rest, "<>="))
	if n == 0 {
		return Expression{Leaf: d}, nil
	}
	sense, ok := comparisons[p.rest[:n]]
	if !ok {
		return Expression{}, fmt.Errorf("%q is no comparison", p.rest[:n])
	}
	p.rest = p.rest[n:]
	p.space()
	d.Flags, d.Version = sense, p.word()
	if d.Version == "" {
		return Expression{}, p.missing("the version of " + name)
	}
	return Expression{Leaf: d}, nil
}

// comparisons are those that rpm reads (rpm: parseReqs.c).
var comparisons = map[string]rpm.Sense{
	"<": rpm.Less, "<=": rpm.Less | rpm.Equal, "=<": rpm.Less | rpm.Equal,
	"=": rpm.Equal, "==": rpm.Equal,
	">": rpm.Greater, ">=": rpm.Greater | rpm.Equal, "=>": rpm.Greater | rpm.Equal,
}

func (p *parser) operator() (Operator, error) {
	n := strings.IndexAny(p.rest, " \t\n\v\f\r,)(")
	if n < 0 {
		n = len(p.rest)
	}
	op := Operator(p.rest[:n])
	if !slices.Contains([]Operator{OpAnd, OpOr, OpIf, OpUnless, OpElse, OpWith, OpWithout}, op) {
		if op == "" {
			return "", p.missing("an operator")
		}
		return "", fmt.Errorf("%q is no operator", string(op))
	}
	p.rest = p.rest[n:]
	return op, nil
}

// word reads up to white space, a comma, or a parenthesis that was not opened in
// the word: names such as libc.so.6()(64bit) have their own.
func (p *parser) word() string {
	open, i := 0, 0
loop:
	for ; i < len(p.rest); i++ {
		switch p.rest[i] {
		case '(':
			open++
		case ')':
			if open == 0 {
				break loop
			}
			open--
		case ' ', '\t', '\n', '\v', '\f', '\r', ',':
			break loop
		}
	}
	word := p.rest[:i]
	p.rest = p.rest[i:]
	return word
}

func (p *parser) space() { p.rest = strings.TrimLeft(p.rest, " \t\n\v\f\r,") }

func (p *parser) missing(what string) error {
	if p.rest == "" {
		return fmt.Errorf("it ends where %s is expected", what)
	}
	return fmt.Errorf("%s is expected before %q", what, p.rest)
}

// check refuses what has no meaning: with and without work on sets of packages,
// which only names, or, with and without make (rpm's manual, "Boolean
// Dependencies", nesting).
func (e Expression) check() error {
	for _, a := range e.Args {
		if e.Op == OpWith || e.Op == OpWithout {
			switch a.Op {
			case "", OpOr, OpWith, OpWithout:
			default:
				return fmt.Errorf("%s cannot work on what %s makes", e.Op, a.Op)
			}
		}
		if err := a.check(); err != nil {
			return err
		}
	}
	return nil
}

// String is the expression as it is written in a spec.
func (e Expression) String() string {
	if e.Op == "" {
		return e.Leaf.String()
	}
	var b strings.Builder
	for i, a := range e.Args {
		switch {
		case i == 0:
			b.WriteByte('(')
		case i == 2 && (e.Op == OpIf || e.Op == OpUnless):
			b.WriteString(" else ")
		default:
			b.WriteString(" " + string(e.Op) + " ")
		}
		b.WriteString(a.String())
	}
	return b.String() + ")"
}

// Leaves calls fn for each dependency in the expression.
func (e Expression) Leaves(fn func(rpm.Dependency)) {
	if e.Op == "" {
		fn(e.Leaf)
	}
	for _, a := range e.Args {
		a.Leaves(fn)
	}
}
