package provide

import (
	"slices"

	"github.com/ohpc-build/ohpc-build/repo/rpm"
	"github.com/ohpc-build/ohpc-build/validate/closure"
)

// wanted is a package that a requirement misses in a root.
type wanted struct {
	provider    int
	requirement rpm.Dependency
}

// conditional says whether what an expression asks for depends on what else
// there is.
func conditional(e closure.Expression) bool {
	return e.Op == closure.OpIf || e.Op == closure.OpUnless || slices.ContainsFunc(e.Args, conditional)
}

// missing are the packages that must be installed to make an expression true.
func (v view) missing(e closure.Expression) []wanted {
	switch e.Op {
	case closure.OpAnd:
		var all []wanted
		for _, a := range e.Args {
			all = append(all, v.missing(a)...)
		}
		return all
	case closure.OpOr:
		if slices.ContainsFunc(e.Args, v.holds) {
			return nil
		}
		for _, a := range e.Args {
			if v.ours(a) {
				return v.missing(a)
			}
		}
		return nil
	case closure.OpIf, closure.OpUnless:
		if branch := v.branch(e); branch != nil {
			return v.missing(*branch)
		}
		return nil
	default:
		of := v.set(e)
		name := first(e)
		if p := v.choose(of, name.Name); p >= 0 && !v.has[p] {
			return []wanted{{p, name}}
		}
		return nil
	}
}

// branch is the part of a conditional expression that must hold, or nil.
func (v view) branch(e closure.Expression) *closure.Expression {
	if v.present(e.Args[1]) == (e.Op == closure.OpIf) {
		return &e.Args[0]
	}
	if len(e.Args) == 3 {
		return &e.Args[2]
	}
	return nil
}

// present says whether a condition is true, or may be: nobody knows all that
// the base holds.
func (v view) present(e closure.Expression) bool {
	if v.holds(e) {
		return true
	}
	return !v.ours(e) && v.outside(e) == Assumed
}

// holds says whether an expression is true already.
func (v view) holds(e closure.Expression) bool {
	switch e.Op {
	case closure.OpAnd:
		return !slices.ContainsFunc(e.Args, func(a closure.Expression) bool { return !v.holds(a) })
	case closure.OpOr:
		return slices.ContainsFunc(e.Args, v.holds)
	case closure.OpIf, closure.OpUnless:
		branch := v.branch(e)
		return branch == nil || v.holds(*branch)
	default:
		return slices.ContainsFunc(v.set(e), v.installed) || v.outside(e) == External
	}
}

// ours says whether packages of the world can contribute to an expression.
func (v view) ours(e closure.Expression) bool {
	switch e.Op {
	case closure.OpAnd, closure.OpOr:
		return slices.ContainsFunc(e.Args, v.ours)
	case closure.OpIf, closure.OpUnless:
		return v.ours(e.Args[0]) || len(e.Args) == 3 && v.ours(e.Args[2])
	default:
		return len(v.set(e)) > 0
	}
}

// set is the packages that an expression of names, or, with and without means.
func (v view) set(e closure.Expression) []int {
	if e.Op == "" {
		return v.candidates(e.Leaf)
	}
	set := slices.Clone(v.set(e.Args[0]))
	for _, a := range e.Args[1:] {
		other := v.set(a)
		switch e.Op {
		case closure.OpOr:
			set = append(set, other...)
		case closure.OpWith:
			set = slices.DeleteFunc(set, func(i int) bool { return !slices.Contains(other, i) })
		case closure.OpWithout:
			set = slices.DeleteFunc(set, func(i int) bool { return slices.Contains(other, i) })
		}
	}
	slices.Sort(set)
	return slices.Compact(set)
}

// first is the first dependency in an expression.
func first(e closure.Expression) rpm.Dependency {
	for e.Op != "" {
		e = e.Args[0]
	}
	return e.Leaf
}
