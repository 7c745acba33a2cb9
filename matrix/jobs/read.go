package jobs

import (
	"context"
	"log/slog"

	"github.com/ohpc-build/ohpc-build/internal/store"
	"github.com/ohpc-build/ohpc-build/matrix/plan"
	"github.com/ohpc-build/ohpc-build/recipes"
	"github.com/ohpc-build/ohpc-build/recipes/spec"
)

// Reading is one spec as rpm read it for one variant in one cell.
type Reading struct {
	Variant recipes.Variant
	Path    string // how people know the spec
	Result  *spec.Result
	Err     error // a *[spec.ParseError] or a *[spec.SkipError]
}

// Read asks rpm about every variant in every cell, also about those that would be
// made once for several, and tells what the targets hold. Nothing is fetched.
func Read(ctx context.Context, in Input, st *store.Store, sb Sandbox, log *slog.Logger, progress Progress) ([]Reading, plan.Base, error) {
	s := &Set{in: in, store: st, sandbox: sb, log: log, kept: map[store.Digest]bool{}, borrowed: map[*recipes.Target][]spec.Define{}, alikes: newAlike()}
	var candidates []*candidate
	for _, cell := range in.Cells {
		for _, r := range in.Catalog.Recipes {
			variants, _ := in.Catalog.Expand(r, cell.Target, cell.Arch)
			for _, v := range variants {
				c, err := s.newCandidate(cell, v)
				if err != nil {
					return nil, nil, err
				}
				candidates = append(candidates, c)
			}
		}
	}
	answers, err := s.askAll(ctx, candidates, progress)
	if err != nil {
		return nil, nil, err
	}
	readings := make([]Reading, len(candidates))
	for i, c := range candidates {
		readings[i] = Reading{Variant: c.variant, Path: c.path(), Result: c.result}
		if a, ok := answers[c]; ok {
			readings[i].Result, readings[i].Err = a.Result, a.Err
		}
	}
	base, err := s.base(ctx)
	if err != nil {
		return nil, nil, err
	}
	return readings, base, nil
}
