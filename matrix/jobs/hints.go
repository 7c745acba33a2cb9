package jobs

import (
	"maps"

	"github.com/ohpc-build/ohpc-build/builder"
	"github.com/ohpc-build/ohpc-build/builder/hints"
	"github.com/ohpc-build/ohpc-build/matrix/plan"
)

// Explain adds to what a builder gets what hints are made of: the job's build
// requirements, where they are written, and the names of the target's packages.
func (s *Set) Explain(j *plan.Job, job *builder.Job) {
	c := s.candidates[j.ID]
	lines := plan.NewLines(s.text)
	job.Names, job.Requires = maps.Clone(c.cell.Target.Bridge), nil
	for name, packages := range c.cell.Target.OnDemand {
		if job.Names == nil {
			job.Names = map[string][]string{}
		}
		job.Names[name] = packages
	}
	for _, req := range j.BuildRequires {
		text := req.String()
		job.Requires = append(job.Requires, hints.Requirement{Text: text, Where: lines.BuildRequires(j, text)})
	}
}
