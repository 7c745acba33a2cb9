package jobs

import (
	"github.com/ohpc-build/ohpc-build/matrix/plan/provide"
	"github.com/ohpc-build/ohpc-build/repo/rpm"
	"github.com/ohpc-build/ohpc-build/validate/closure"
)

// demand gathers the packages by which a cell's image must be extended to hold what
// is required.
type demand struct {
	world *provide.World
	base  *Base
	cell  *Cell
	names []string
}

// add takes in what a requirement asks for. One that cannot be read asks for
// nothing here.
func (d *demand) add(req rpm.Dependency) {
	if len(d.cell.Target.OnDemand) == 0 {
		return
	}
	if e, err := closure.Parse(req); err == nil {
		names, _ := d.of(e)
		d.names = append(d.names, names...)
	}
}

// of are the packages that an expression demands, and whether it is true with them.
func (d *demand) of(e closure.Expression) (names []string, met bool) {
	switch e.Op {
	case "":
		if d.world.Provided(e.Leaf) || d.base.holds(d.cell.String(), e.Leaf) {
			return nil, true
		}
		names, met = d.cell.Target.OnDemand[e.Leaf.Name]
		return names, met
	case closure.OpOr:
		return d.either(e.Args)
	case closure.OpIf, closure.OpUnless:
		// A condition is about what is there, and demands nothing itself.
		demanded, there := d.of(e.Args[1])
		if (there && len(demanded) == 0) == (e.Op == closure.OpIf) {
			return d.of(e.Args[0])
		}
		if len(e.Args) == 3 {
			return d.of(e.Args[2])
		}
		return nil, true
	case closure.OpWithout:
		return d.of(e.Args[0])
	}
	met = true
	for _, a := range e.Args {
		more, ok := d.of(a)
		names, met = append(names, more...), met && ok
	}
	return names, met
}

// either takes the alternative that demands nothing, or else the first that can be
// met.
func (d *demand) either(args []closure.Expression) (names []string, met bool) {
	for _, a := range args {
		more, ok := d.of(a)
		if ok && len(more) == 0 {
			return nil, true
		}
		if ok && !met {
			names, met = more, true
		}
	}
	return names, met
}
