package provide

import (
	"maps"
	"slices"

	"github.com/ohpc-build/ohpc-build/repo/rpm"
	"github.com/ohpc-build/ohpc-build/validate/closure"
)

// Root is what is installed together for one consumer: what it requires, what
// that requires, and so on.
type Root struct {
	world    *World
	consumer Consumer
	has      map[int]bool // by package: a root has few of a world's many
	steps    []Step
}

// Step is why a package is in a root.
type Step struct {
	Package     int // position in the world
	By          int // the step whose package requires it; -1 when the consumer does
	Requirement rpm.Dependency
}

// asked is a requirement that is not settled yet.
type asked struct {
	by int
	e  closure.Expression
}

// Root installs what a consumer requires to be built. Its own packages do not
// count for what it asks for itself: they come into the root only when another
// package drags them in.
func (w *World) Root(c Consumer, requires []rpm.Dependency) *Root {
	r := &Root{world: w, consumer: c, has: map[int]bool{}, steps: make([]Step, 0, 2*len(requires))}
	open := r.install(nil, -1, w.read(requires))
	for next := 0; ; {
		// The nearest first: a step's way back to the consumer is a shortest one.
		for ; next < len(r.steps); next++ {
			open = r.install(open, next, w.requiresOf(r.steps[next].Package))
		}
		// All that is certain came before what leaves a choice or has a condition.
		if open = r.settle(open); next == len(r.steps) {
			return r
		}
	}
}

// install takes in what is beyond doubt, and adds to open what is not.
func (r *Root) install(open []asked, by int, requires []requirement) []asked {
	v := r.view(by)
	for i := range requires {
		req := &requires[i]
		if req.Op == "" {
			switch of := v.counted(req.candidates); len(of) {
			case 0: // the base's affair
				continue
			case 1:
				r.take(of[0], by, req.Leaf)
				continue
			}
		}
		open = append(open, asked{by, req.Expression})
	}
	return open
}

// settle takes in what the first of the open requirements misses. It returns
// those that may yet miss something.
func (r *Root) settle(open []asked) []asked {
	var rest []asked
	for i, a := range open {
		missing := r.view(a.by).missing(a.e)
		for _, m := range missing {
			r.take(m.provider, a.by, m.requirement)
		}
		if conditional(a.e) {
			rest = append(rest, a) // its condition may come true later
		}
		if len(missing) > 0 {
			return append(rest, open[i+1:]...)
		}
	}
	return rest
}

func (r *Root) take(p, by int, req rpm.Dependency) {
	if !r.has[p] {
		r.has[p] = true
		r.steps = append(r.steps, Step{p, by, req})
	}
}

// Steps are the packages of the root; each step comes after the one that it is by.
func (r *Root) Steps() []Step { return r.steps }

// view is the root as the package of a step sees it; -1 is the consumer.
func (r *Root) view(step int) view {
	if step < 0 {
		return view{r.world, r.consumer, nil, r.has, true}
	}
	return view{r.world, r.world.packages[r.steps[step].Package].Consumer, r.consumer.Picks, r.has, false}
}

// overlay is what upper says, and what lower says of other things.
func overlay(lower, upper map[string]string) map[string]string {
	switch {
	case len(lower) == 0:
		return upper
	case len(upper) == 0:
		return lower
	}
	both := maps.Clone(lower)
	maps.Copy(both, upper)
	return both
}

// view is how someone who requires something sees the world.
type view struct {
	world    *World
	consumer Consumer
	picks    map[string]string // the choices that the root is made by, where the consumer leaves them open
	has      map[int]bool      // by package, nil when nothing is installed
	foreign  bool              // the consumer's own packages do not count
}

func (v view) candidates(req rpm.Dependency) []int { return v.counted(v.world.candidates(req)) }

// counted leaves out what the consumer makes itself, if that does not count.
func (v view) counted(of []int) []int {
	if !v.foreign {
		return of
	}
	own := func(i int) bool { return v.world.packages[i].Owner == v.consumer.Owner }
	if !slices.ContainsFunc(of, own) {
		return of
	}
	return slices.DeleteFunc(slices.Clone(of), own)
}

// choose is the package that is taken for a requirement, of those that are
// installed if one of them will do; -1 when there is none.
func (v view) choose(of []int, name string) int {
	if len(of) == 0 {
		return -1
	}
	if v.has != nil && slices.ContainsFunc(of, v.installed) {
		of = slices.DeleteFunc(slices.Clone(of), func(i int) bool { return !v.installed(i) })
	}
	if len(of) == 1 {
		return of[0]
	}
	return v.world.best(of, name, Consumer{v.consumer.Owner, overlay(v.picks, v.consumer.Picks)})
}

func (v view) installed(i int) bool { return v.has != nil && v.has[i] }
