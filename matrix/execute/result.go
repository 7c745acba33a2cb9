package execute

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ohpc-build/ohpc-build/builder"
	"github.com/ohpc-build/ohpc-build/internal/store"
	"github.com/ohpc-build/ohpc-build/matrix/plan"
	"github.com/ohpc-build/ohpc-build/matrix/state"
)

// The kinds of records: a job's result by its key, and by its name the parts with
// which it ran last, and how that went.
const (
	recordResult = "results"
	recordParts  = "parts"
	recordRan    = "ran"
)

// Result finds what a job of that key made, if all of it is in the store. Each
// package is read and its bytes are compared with its digest. The error is
// [store.ErrNotFound] when there is none, something else when it is of no use.
func Result(st *store.Store, key store.Digest) (*builder.Result, error) {
	result := &builder.Result{}
	if err := st.Record(recordResult, string(key), result); err != nil {
		return nil, err
	}
	for _, p := range result.Packages {
		if _, err := st.Path(p.Digest); err != nil {
			return nil, fmt.Errorf("%s: %w", p.File, err)
		}
	}
	return result, nil
}

// Parts are those with which a job ran last; nil when it never did.
func Parts(st *store.Store, name string) plan.Parts {
	var last plan.Parts
	if err := st.Record(recordParts, name, &last); err != nil {
		return nil
	}
	return last
}

// keep remembers a job's result, and how it came about.
func keep(st *store.Store, d *Description, result *builder.Result) error {
	// The result first: the others only tell of it.
	if err := st.PutRecord(recordResult, string(d.Key), result); err != nil {
		return err
	}
	if err := st.PutRecord(recordParts, d.Name, d.Parts); err != nil {
		return err
	}
	return st.PutRecord(recordRan, d.Name, Ran(d, result))
}

// Ran is a job that succeeded, for the history.
func Ran(d *Description, result *builder.Result) state.Job {
	j := state.Job{
		Name: d.Name, ID: d.Job.ID, Key: string(d.Key), Recipe: d.Recipe, Variant: d.Variant, Target: d.Target, Arch: d.Job.Arch,
		Ended: time.Now().UTC(), Seconds: result.Seconds, Result: "built", Reason: d.Reason,
		CPUSeconds: result.CPUSeconds, PeakMemory: result.PeakMemory,
	}
	for _, p := range result.Packages {
		j.Packages = append(j.Packages, p.File)
	}
	return j
}

// Past lists how each job of the store ran last.
func Past(st *store.Store) state.Past {
	return func(ctx context.Context) ([]state.Job, error) {
		entries, _, err := st.Entries(ctx)
		if err != nil {
			return nil, err
		}
		var all []state.Job
		var errs []error
		for _, e := range entries {
			if e.Kind != recordRan {
				continue
			}
			var j state.Job
			if err := st.ReadEntry(e, &j); err != nil {
				errs = append(errs, err)
				continue
			}
			all = append(all, j)
		}
		return all, errors.Join(errs...)
	}
}
