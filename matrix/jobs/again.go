package jobs

import (
	"github.com/ohpc-build/ohpc-build/builder"
	"github.com/ohpc-build/ohpc-build/matrix/plan"
)

// Again is what the builder needs to make a job's result once more. All that it
// needs must have results.
func (s *Set) Again(j *plan.Job) (builder.Job, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	job, _, err := s.complete(j)
	return job, err
}
