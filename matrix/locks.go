package matrix

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ohpc-build/ohpc-build/builder/resolve"
	"github.com/ohpc-build/ohpc-build/matrix/locks"
	"github.com/ohpc-build/ohpc-build/matrix/plan"
	"github.com/ohpc-build/ohpc-build/recipes"
)

// checkLocks says which of the jobs that were asked for have no lock, when such were
// given: what is built from them must not depend on anything else. Meta-packages have
// no build root, and so no lock.
func (m *Matrix) checkLocks(given map[string]*resolve.Lock) error {
	if given == nil {
		return nil
	}
	var without []string
	for _, j := range m.jobs.Plan.Jobs {
		if given[j.ID] == nil && slices.Contains(m.opt.Recipes, j.Recipe) && m.jobs.Variant(j).Recipe.Kind != recipes.MetaPackage {
			without = append(without, j.ID)
		}
	}
	if len(without) > 0 {
		return &UsageError{fmt.Errorf("%s has no lock of %s; --target, --arch and --family choose fewer jobs", m.opt.Locked, strings.Join(without, ", "))}
	}
	return nil
}

// writeLock writes what a job's build root was made of to <out>/report/locks.
func (m *Matrix) writeLock(j *plan.Job) error {
	l := m.jobs.Lock(j)
	if l == nil {
		return nil
	}
	return locks.Write(filepath.Join(m.opt.Out, ReportFolder, "locks"), l)
}
