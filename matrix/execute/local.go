package execute

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/ohpc-build/ohpc-build/builder"
	"github.com/ohpc-build/ohpc-build/builder/meta"
	"github.com/ohpc-build/ohpc-build/internal/store"
)

// Builder builds what is no meta-package.
type Builder interface {
	Build(ctx context.Context, job builder.Job, log io.Writer) (*builder.Result, error)
}

// Local runs jobs in this process.
type Local struct {
	state   string
	store   *store.Store
	builder Builder
}

// NewLocal returns an executor for descriptions that lie in a state folder.
func NewLocal(state string, st *store.Store, b Builder) *Local {
	return &Local{state: state, store: st, builder: b}
}

// Outcome is what came of a job.
type Outcome struct {
	Result *builder.Result
	Reused bool // somebody else had made it meanwhile
}

// Execute runs the job that a file describes and leaves its result in the store. What
// the build prints goes to log. An error is one of package builder's. When another
// process runs the same job, it waits for that.
//
// The file goes when the job has succeeded.
func (l *Local) Execute(ctx context.Context, file string, log io.Writer) (*Outcome, error) {
	d, err := Read(l.state, file)
	if errors.Is(err, fs.ErrNotExist) {
		// Whoever ran the same job has taken the file away.
		key := store.Digest("sha256:" + strings.TrimSuffix(filepath.Base(file), ".json"))
		if result, rerr := Result(l.store, key); rerr == nil {
			return &Outcome{Result: result, Reused: true}, nil
		}
	}
	if err != nil {
		return nil, err
	}
	free, err := lock(ctx, l.state, d.Key, func() {
		fmt.Fprintf(log, "another process builds %s; waiting for it\n", d.Job.ID)
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", d.Job.ID, err)
	}
	defer free()
	outcome := &Outcome{}
	if outcome.Result, err = Result(l.store, d.Key); err == nil {
		fmt.Fprintln(log, "its result was in the store when its turn came")
		outcome.Reused = true
	} else if outcome.Result, err = l.run(ctx, &d, log); err != nil {
		return nil, err
	}
	if err := os.Remove(file); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w", d.Job.ID, err)
	}
	return outcome, nil
}

func (l *Local) run(ctx context.Context, d *Description, log io.Writer) (*builder.Result, error) {
	var (
		result *builder.Result
		err    error
	)
	if d.Meta != nil {
		fmt.Fprintln(log, "a meta-package is written from its list of requirements; rpmbuild did not run")
		result, err = meta.Build(ctx, l.store, *d.Meta)
	} else {
		result, err = l.builder.Build(ctx, d.Job, log)
	}
	if err != nil {
		return nil, err
	}
	return result, keep(l.store, d, result)
}
