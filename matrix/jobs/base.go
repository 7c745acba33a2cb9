package jobs

import (
	"context"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/ohpc-build/ohpc-build/matrix/base"
	"github.com/ohpc-build/ohpc-build/matrix/plan"
	"github.com/ohpc-build/ohpc-build/repo/rpm"
	"github.com/ohpc-build/ohpc-build/validate/closure"
)

// Base knows what the targets hold by themselves. Of a target whose image is not
// at hand that is only what it does not hold: what is the project's own.
type Base struct {
	images   map[string]*closure.List               // by cell
	provided map[string]map[string][]rpm.Dependency // by cell and name
	unbuilt  map[string]map[string]bool             // by cell: packages that a spec declares and rpm never writes
	onDemand map[string]map[string][]string         // by cell: what the image can be extended by
	endings  []string                               // of the project's packages: -ohpc
}

var _ plan.Base = (*Base)(nil)

// Base is what is known of the run's targets.
func (s *Set) Base() *Base { return s.targets }

// base asks the images of the cells that are at hand what they hold.
func (s *Set) base(ctx context.Context) (*Base, error) {
	b := &Base{
		images: map[string]*closure.List{}, provided: map[string]map[string][]rpm.Dependency{},
		unbuilt: map[string]map[string]bool{}, onDemand: map[string]map[string][]string{},
	}
	for _, c := range s.in.Cells {
		if c.Image.Digest == "" {
			continue
		}
		list, err := base.Provided(ctx, s.store, s.sandbox, "the image of "+c.String(), c.Image)
		if err != nil {
			return nil, err
		}
		b.images[c.String()], b.provided[c.String()], b.onDemand[c.String()] = list, byName(list), c.Target.OnDemand
	}
	endings := map[string]bool{defaultEnding: true}
	for _, c := range s.candidates {
		for _, arch := range c.job.Architectures() {
			if c.meta() {
				break // all that it declares is written
			}
			b.declare(c.job.Target+"/"+arch, c.result.Unbuilt)
		}
		for _, d := range c.variant.Defines {
			if d.Name == "PROJ_DELIM" && strings.HasPrefix(d.Value, "-") && len(d.Value) > 1 {
				endings[d.Value] = true
			}
		}
	}
	b.endings = slices.Sorted(maps.Keys(endings))
	return b, nil
}

// defaultEnding is what OHPC_macros puts at the end of packages' names where no
// PROJ_DELIM says otherwise.
const defaultEnding = "-ohpc"

func (b *Base) declare(cell string, names []string) {
	for _, name := range names {
		if b.unbuilt[cell] == nil {
			b.unbuilt[cell] = map[string]bool{}
		}
		b.unbuilt[cell][name] = true
	}
}

func byName(list *closure.List) map[string][]rpm.Dependency {
	names := map[string][]rpm.Dependency{}
	for _, p := range list.Of {
		for _, d := range p.Provides {
			names[d.Name] = append(names[d.Name], d)
		}
	}
	return names
}

// Image is what the image of a cell holds, or nil when that is not at hand.
func (b *Base) Image(c *Cell) *closure.List { return b.images[c.String()] }

// Provides implements [plan.Base].
func (b *Base) Provides(target, arch string, req rpm.Dependency) (met, known bool) {
	cell := target + "/" + arch
	_, known = b.provided[cell]
	if b.holds(cell, req) || known && b.onDemand[cell][req.Name] != nil {
		return true, known
	}
	return false, known || b.Own(target, arch, req.Name)
}

// holds says whether the image of a cell itself provides something.
func (b *Base) holds(cell string, req rpm.Dependency) bool {
	return slices.ContainsFunc(b.provided[cell][req.Name], req.SatisfiedBy)
}

// Own says whether a name is of a package that only the project itself can make,
// whatever the target holds: by its form, or because a spec declares the package.
// That a spec provides the name elsewhere says nothing: a package for one target may
// bring along what others have by themselves, such as a library.
func (b *Base) Own(target, arch, name string) bool {
	if b.unbuilt[target+"/"+arch][name] {
		return true
	}
	name = architecture.ReplaceAllString(name, "")
	if strings.ContainsAny(name, "/() ") {
		return false
	}
	return slices.ContainsFunc(b.endings, func(ending string) bool {
		return strings.HasSuffix(name, ending) || strings.Contains(name, ending+"-") || strings.HasPrefix(name, ending[1:]+"-")
	})
}

// architecture is what %{?_isa} adds to a name: (x86-64).
var architecture = regexp.MustCompile(`\([a-z0-9]+-(32|64)\)$`)
