package closure

import (
	"slices"

	"github.com/ohpc-build/ohpc-build/repo/rpm"
)

// verdict says whether something is provided. The greater is the better.
type verdict int8

const (
	unmet verdict = iota
	open          // nothing that is known provides it, but the base may
	met
)

func (w *world) judge(req requirement, cell int) verdict {
	if req.err != nil {
		return unmet
	}
	return w.holds(req.expression, cell)
}

// holds says whether there is a way to satisfy a requirement in a cell, at its
// conditions' worst.
func (w *world) holds(e Expression, cell int) verdict { return w.evaluate(e, cell, w.holds) }

// possible says whether some choice of packages makes an expression true. It
// differs from holds where a condition need not be met.
func (w *world) possible(e Expression, cell int) verdict {
	if e.Op != OpIf {
		return w.evaluate(e, cell, w.possible)
	}
	if len(e.Args) == 2 {
		return met
	}
	of := func(i int) verdict { return w.possible(e.Args[i], cell) }
	return max(of(2), min(of(1), of(0)))
}

func (w *world) evaluate(e Expression, cell int, value func(Expression, int) verdict) verdict {
	of := func(i int) verdict { return value(e.Args[i], cell) }
	switch e.Op {
	case OpAnd:
		worst := met
		for i := range e.Args {
			worst = min(worst, of(i))
		}
		return worst
	case OpOr:
		best := unmet
		for i := range e.Args {
			best = max(best, of(i))
		}
		return best
	case OpIf:
		otherwise := met
		if len(e.Args) == 3 {
			otherwise = of(2)
		}
		switch w.possible(e.Args[1], cell) {
		case met:
			return of(0)
		case unmet:
			return otherwise
		}
		if then := of(0); then == otherwise {
			return then
		}
		return open
	case OpUnless:
		if len(e.Args) == 3 {
			return max(of(0), min(w.possible(e.Args[1], cell), of(2)))
		}
		return of(0)
	case OpWith, OpWithout:
		if len(w.set(e, cell)) > 0 {
			return met
		}
		if w.mayHold(e, cell) {
			return open
		}
		return unmet
	default:
		if w.provided(e.Leaf, cell) {
			return met
		}
		if w.mayHold(e, cell) {
			return open
		}
		return unmet
	}
}

// mayHold says whether the part of the base that is not known may have a package
// that an expression of names, or, with and without means.
func (w *world) mayHold(e Expression, cell int) bool {
	of := func(a Expression) bool { return w.mayHold(a, cell) }
	switch e.Op {
	case "":
		return w.open != nil && w.open(w.cells[cell], e.Leaf)
	case OpOr:
		return slices.ContainsFunc(e.Args, of)
	case OpWithout:
		return of(e.Args[0])
	}
	return !slices.ContainsFunc(e.Args, func(a Expression) bool { return !of(a) })
}

// absent are the dependencies in an expression that nothing provides.
func (w *world) absent(e Expression, cell int) []rpm.Dependency {
	var all []rpm.Dependency
	e.Leaves(func(d rpm.Dependency) {
		if w.holds(Expression{Leaf: d}, cell) == unmet {
			all = append(all, d)
		}
	})
	return all
}

// set is the packages that an expression of names, or, with and without means.
func (w *world) set(e Expression, cell int) map[int32]bool {
	if e.Op == "" {
		set := map[int32]bool{}
		for i := range w.providers(e.Leaf, cell) {
			set[i] = true
		}
		return set
	}
	set := w.set(e.Args[0], cell)
	for _, a := range e.Args[1:] {
		other := w.set(a, cell)
		switch e.Op {
		case OpOr:
			for i := range other {
				set[i] = true
			}
		case OpWith:
			for i := range set {
				if !other[i] {
					delete(set, i)
				}
			}
		case OpWithout:
			for i := range other {
				delete(set, i)
			}
		}
	}
	return set
}
