package builder

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/ohpc-build/ohpc-build/builder/kept"
	"github.com/ohpc-build/ohpc-build/builder/sandbox"
	"github.com/ohpc-build/ohpc-build/internal/store"
)

// Keep says whose root is kept after its build.
type Keep int

// The root of no build, of those whose packages failed to build, or of all.
const (
	KeepNone Keep = iota
	KeepFailed
	KeepAll
)

// Option changes how a builder works.
type Option func(*Builder)

// WithKept keeps roots in a folder.
func WithKept(folder *kept.Folder, which Keep) Option {
	return func(b *Builder) { b.kept, b.keep = folder, which }
}

// upper is the folder for what a build in dir changes in its root, or "" when that
// is to be forgotten.
func (b *Builder) upper(dir string) (string, error) {
	if b.keep == KeepNone {
		return "", nil
	}
	upper := filepath.Join(dir, kept.Changes)
	return upper, os.Mkdir(upper, 0o755)
}

// keepRoot keeps the root of a build in dir, if it is to be kept.
func (b *Builder) keepRoot(job Job, dir string, s sandbox.Spec, failed bool) error {
	if b.keep == KeepNone || b.keep == KeepFailed && !failed {
		return nil
	}
	inputs, err := job.Inputs()
	if err != nil {
		return err
	}
	_, err = b.kept.Take(dir, kept.Root{
		Job: job.ID, Inputs: inputs, Failed: failed,
		Run: kept.Run{
			Layers: s.Layers, Args: s.Args, Env: Conditions{}.complete(job).environment(), Topdir: topdir,
			UID: s.UID, GID: s.GID, HostName: s.HostName, Limits: s.Limits,
		},
	})
	return err
}

// Inputs stand for everything that a job is built from and with: two jobs with the
// same inputs end alike, as long as the machine is not at fault.
func (j Job) Inputs() (store.Digest, error) {
	if j.Native != nil {
		// Each run has its own folder with some of the sources.
		native := Native{Env: j.Native.Env}
		for _, m := range j.Native.Mounts {
			native.Mounts = append(native.Mounts, sandbox.Mount{Destination: m.Destination})
		}
		j.Native = &native
	}
	j.Limits.Cores = 0 // as many as there were to share
	doc, err := json.Marshal(j)
	if err != nil {
		return "", fmt.Errorf("%s: %w", j.ID, err)
	}
	return store.Of(doc), nil
}
