package matrix

import (
	"context"

	"github.com/ohpc-build/ohpc-build/matrix/host"
)

// CheckHost says what the host lacks for this run, all of it at once. The error
// is a [*host.Error].
func (m *Matrix) CheckHost(ctx context.Context) error {
	return host.Check(ctx, m.opt.State, m.opt.Runtime, m.cells)
}

// Gaps lists the limits of recipes that the kernel does not hold for a build as a
// whole on this host, and at last what would mend it; nothing when it holds all.
func (m *Matrix) Gaps() ([]string, error) { return host.Gaps(m.opt.State, m.opt.Runtime) }

// Fits says which of the plan's jobs could never run on this host. The error is a
// [*host.Error]. [Matrix.Plan] or one of the runs must have come before.
func (m *Matrix) Fits() error { return host.Fits(m.jobs.Plan, m.opt.State, m.opt.Jobs) }
