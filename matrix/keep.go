package matrix

import (
	"fmt"
	"path/filepath"

	"github.com/ohpc-build/ohpc-build/builder"
	"github.com/ohpc-build/ohpc-build/builder/kept"
	"github.com/ohpc-build/ohpc-build/matrix/plan"
	"github.com/ohpc-build/ohpc-build/matrix/report"
)

// Keep says which build roots stay in <state>/kept as their builds left them.
type Keep = builder.Keep

// None, those of builds that failed, or all.
const (
	KeepNone   = builder.KeepNone
	KeepFailed = builder.KeepFailed
	KeepAll    = builder.KeepAll
)

// keeping is what the builder is told of it. A shell needs the failed root at
// least until it is left.
func (m *Matrix) keeping() builder.Option {
	which := m.opt.Keep
	if m.opt.Shell != nil && which == KeepNone {
		which = KeepFailed
	}
	m.kept = kept.New(filepath.Join(m.opt.State, "kept"))
	return builder.WithKept(m.kept, which)
}

// KeptError says that a job was not built because it is known to fail, and that
// its root is there to be looked at.
type KeptError struct{ Job, Dir string }

func (e *KeptError) Error() string {
	return fmt.Sprintf("%s failed before, from the same inputs, and was not built again: its root is in %s (remove it, or leave out --shell, to build again)", e.Job, e.Dir)
}

// failedBefore finds the root that a shell is wanted in, when nothing has changed
// since its build failed.
func (m *Matrix) failedBefore(job builder.Job) error {
	if m.opt.Shell == nil {
		return nil
	}
	root, err := m.kept.Find(job.ID)
	if err != nil || !root.Failed || root.Check() != nil {
		return nil //nolint:nilerr // it is built again then
	}
	inputs, err := job.Inputs()
	if err != nil || inputs != root.Inputs {
		return err
	}
	return &KeptError{Job: job.ID, Dir: root.Dir()}
}

// tellKept enters in a job's row where its root is kept.
func (m *Matrix) tellKept(j *plan.Job, row *report.Job) {
	if row.Result == report.Fail || m.opt.Keep == KeepAll {
		if root, err := m.kept.Find(j.ID); err == nil && root.Failed == (row.Result == report.Fail) {
			row.Kept = root.Dir()
		}
	}
}
