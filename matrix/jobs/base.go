package jobs

import (
	"context"

	"github.com/ohpc-build/ohpc-build/matrix/base"
	"github.com/ohpc-build/ohpc-build/matrix/plan"
	"github.com/ohpc-build/ohpc-build/repo/rpm"
	"github.com/ohpc-build/ohpc-build/validate/closure"
)

// targets knows what the images of the targets hold. It is a plan.Base.
type targets struct {
	provided map[string]map[string][]rpm.Dependency // by cell and name
}

var _ plan.Base = (*targets)(nil)

// base asks the images of the cells that are at hand what they hold.
func (s *Set) base(ctx context.Context) (*targets, error) {
	t := &targets{provided: map[string]map[string][]rpm.Dependency{}}
	for _, c := range s.in.Cells {
		if c.Image.Digest == "" {
			continue
		}
		list, err := base.Provided(ctx, s.store, s.sandbox, "the image of "+c.String(), c.Image)
		if err != nil {
			return nil, err
		}
		t.provided[c.String()] = byName(list)
	}
	return t, nil
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

// Provides implements [plan.Base].
func (t *targets) Provides(target, arch string, req rpm.Dependency) (met, known bool) {
	names, known := t.provided[target+"/"+arch]
	for _, d := range names[req.Name] {
		if req.SatisfiedBy(d) {
			return true, known
		}
	}
	return false, known
}
