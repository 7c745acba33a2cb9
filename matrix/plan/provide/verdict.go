package provide

import (
	"slices"

	"github.com/ohpc-build/ohpc-build/repo/rpm"
	"github.com/ohpc-build/ohpc-build/validate/closure"
)

// Verdict says who meets a requirement. Of two, the greater is the worse.
type Verdict int

// The verdicts.
const (
	Void     Verdict = iota // it asks for nothing: its condition cannot come true
	Met                     // by packages of the world
	External                // by the base
	Assumed                 // by the base, if anyone: what that holds is not known
	Unknown                 // by nobody
)

// Judgement is who meets a requirement, and with what.
type Judgement struct {
	Verdict   Verdict
	Providers []int            // packages of the world, when met
	Missing   []rpm.Dependency // what nobody provides, when unknown
}

// Judge says who meets a requirement of the consumer in its root. The error is
// for a rich dependency that cannot be read.
func (r *Root) Judge(req rpm.Dependency) (Judgement, error) { return r.view(-1).judgement(req) }

// Judge says who meets a requirement of a package when that is installed.
func (w *World) Judge(c Consumer, req rpm.Dependency) (Judgement, error) {
	return view{world: w, consumer: c}.judgement(req)
}

func (v view) judgement(req rpm.Dependency) (Judgement, error) {
	e, err := closure.Parse(req)
	if err != nil {
		return Judgement{Verdict: Unknown}, err
	}
	j := v.judge(e)
	slices.Sort(j.Providers)
	j.Providers = slices.Compact(j.Providers)
	return j, nil
}

func (v view) judge(e closure.Expression) Judgement {
	switch e.Op {
	case closure.OpAnd:
		all := Judgement{}
		for _, a := range e.Args {
			all = all.and(v.judge(a))
		}
		return all
	case closure.OpOr:
		return v.either(e.Args)
	case closure.OpIf:
		return v.judgeIf(e)
	case closure.OpUnless:
		// One can always do without the condition.
		if len(e.Args) == 3 {
			return v.either([]closure.Expression{e.Args[0], e.Args[2]})
		}
		return v.judge(e.Args[0])
	}
	if p := v.choose(v.set(e), first(e).Name); p >= 0 {
		return Judgement{Verdict: Met, Providers: []int{p}}
	}
	if verdict := v.outside(e); verdict != Unknown {
		return Judgement{Verdict: verdict}
	}
	return Judgement{Verdict: Unknown, Missing: v.absent(e)}
}

// and is the judgement of two requirements together.
func (j Judgement) and(other Judgement) Judgement {
	both := Judgement{Verdict: max(j.Verdict, other.Verdict), Missing: slices.Concat(j.Missing, other.Missing)}
	// What is met in part by the base is still met by the packages as well.
	if both.Verdict <= External && (j.Verdict == Met || other.Verdict == Met) {
		both.Verdict = Met
	}
	both.Providers = slices.Concat(j.Providers, other.Providers)
	return both
}

// either takes the alternative that is in the root, or else the first that
// somebody is known to provide.
func (v view) either(args []closure.Expression) Judgement {
	var best Judgement
	for i, a := range args {
		j := v.judge(a)
		if v.has != nil && j.Verdict == Met && v.holds(a) {
			return j
		}
		switch {
		case i == 0:
			best = j
		case best.Verdict == Unknown && j.Verdict == Unknown:
			best.Missing = append(best.Missing, j.Missing...)
		case best.Verdict >= Assumed && j.Verdict < best.Verdict:
			best = j
		}
	}
	return best
}

func (v view) judgeIf(e closure.Expression) Judgement {
	condition := v.judge(e.Args[1]).Verdict
	switch {
	case v.has != nil && !v.present(e.Args[1]), condition == Unknown:
		if len(e.Args) == 3 {
			return v.judge(e.Args[2])
		}
		return Judgement{Verdict: Void}
	case condition == Assumed:
		// That nobody provides it matters only if the condition is true.
		j := v.judge(e.Args[0])
		if j.Verdict == Unknown {
			return Judgement{Verdict: Assumed}
		}
		return j
	}
	return v.judge(e.Args[0])
}

// outside is what the base makes of an expression.
func (v view) outside(e closure.Expression) Verdict {
	switch e.Op {
	case "":
		switch met, known := v.world.base(e.Leaf); {
		case !known:
			return Assumed
		case met:
			return External
		}
		return Unknown
	case closure.OpOr, closure.OpUnless:
		best := Unknown
		for i, a := range e.Args {
			if e.Op == closure.OpOr || i != 1 {
				best = min(best, v.outside(a))
			}
		}
		return best
	case closure.OpWithout:
		return v.outside(e.Args[0])
	case closure.OpIf:
		if v.outside(e.Args[1]) != Unknown {
			return v.outside(e.Args[0])
		}
		if len(e.Args) == 3 {
			return v.outside(e.Args[2])
		}
		return Void
	}
	worst := Void
	for _, a := range e.Args {
		worst = max(worst, v.outside(a))
	}
	return worst
}

// absent are the dependencies in an expression that nobody provides.
func (v view) absent(e closure.Expression) []rpm.Dependency {
	var all []rpm.Dependency
	e.Leaves(func(d rpm.Dependency) {
		if len(v.candidates(d)) == 0 && v.outside(closure.Expression{Leaf: d}) == Unknown {
			all = append(all, d)
		}
	})
	return all
}
