package jobs

import (
	"slices"
	"strings"
	"time"

	"github.com/ohpc-build/ohpc-build/builder/emulate"
	"github.com/ohpc-build/ohpc-build/matrix/plan"
	"github.com/ohpc-build/ohpc-build/matrix/schedule"
	"github.com/ohpc-build/ohpc-build/matrix/state"
	"github.com/ohpc-build/ohpc-build/recipes"
)

// What a build is held to take when nothing like it ever ran and its recipe does not
// say. Most of OpenHPC's components need a few minutes, a meta-package nothing.
const (
	usualTime = 3 * time.Minute
	metaTime  = 10 * time.Millisecond
)

// emulationTimes is how much longer than natively a build takes on another
// architecture, as long as nothing of this host's history tells: measured with native
// compilers in the foreign root it is between 1 and 3.
const emulationTimes = 2

// estimator knows how long jobs took.
type estimator struct {
	last   map[string]float64 // seconds, by the job's name in history
	same   map[string]float64 // seconds natively, by recipe and variant
	like   map[string]float64 // seconds natively, by recipe
	factor float64            // by how much an emulated build took longer than the same natively
}

// newEstimator learns from what is recorded.
func newEstimator(took []state.Took) *estimator {
	e := &estimator{last: map[string]float64{}, same: map[string]float64{}, like: map[string]float64{}, factor: emulationTimes}
	native, emulated := map[string][]float64{}, map[string][]float64{}
	for _, t := range took {
		e.last[t.Name] = t.Seconds
		into := emulated
		if emulate.Native(t.Arch) {
			into = native
		}
		name := plan.Name(t.Recipe, t.Variant)
		into[name] = append(into[name], t.Seconds)
	}
	var factors []float64
	for name, times := range emulated {
		if beside := native[name]; beside != nil && median(beside) > 0 {
			factors = append(factors, median(times)/median(beside))
		}
	}
	if len(factors) > 0 {
		e.factor = max(median(factors), 1)
	}
	for name, times := range emulated {
		e.same[name] = median(times) / e.factor
	}
	for name, times := range native {
		e.same[name] = median(times)
	}
	variants := map[string][]float64{}
	for name, seconds := range e.same {
		recipe, _, _ := strings.Cut(name, "@")
		variants[recipe] = append(variants[recipe], seconds)
	}
	for recipe, times := range variants {
		e.like[recipe] = median(times)
	}
	return e
}

func median(of []float64) float64 {
	sorted := slices.Sorted(slices.Values(of))
	return sorted[len(sorted)/2]
}

// estimate tells a job how long it will take: as long as the last time; if it never
// ran, as its recipe says; then as the same on another architecture or target, as
// other variants of the recipe, or as most.
func (e *estimator) estimate(c *candidate) {
	j, r := c.job, c.variant.Recipe
	j.Uses = schedule.Resources{Memory: int64(r.Needs.Memory), Disk: int64(r.Needs.Disk), Cores: r.Needs.Cores}
	if s, ok := e.last[c.history()]; ok {
		// A clock of milliseconds may say that a job took none.
		j.Takes, j.Recorded = max(plan.Duration(s), time.Millisecond), true
		return
	}
	factor := 1.0
	if !emulate.Native(j.Arch) {
		factor = e.factor
	}
	switch {
	case r.Kind == recipes.MetaPackage:
		j.Takes = metaTime
	case r.Needs.Takes > 0:
		j.Takes = time.Duration(float64(r.Needs.Takes) * factor)
	default:
		j.Takes = plan.Duration(e.similar(j) * factor)
	}
}

// similar is how long the most similar job took natively, in seconds.
func (e *estimator) similar(j *plan.Job) float64 {
	if s, ok := e.same[j.Name()]; ok {
		return s
	}
	if s, ok := e.like[j.Recipe]; ok {
		return s
	}
	return usualTime.Seconds()
}
