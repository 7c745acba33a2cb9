package matrix

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/ohpc-build/ohpc-build/builder/emulate"
	"github.com/ohpc-build/ohpc-build/builder/sandbox"
)

// minimumFree is how much room a run wants on the state's file system, in bytes:
// an image and its unpacked layers, sources, build roots and a build for each of
// two architectures.
const minimumFree = 6 << 30

// CheckHost says what the host lacks for this run, all of it at once. The error
// is a *HostError.
func (m *Matrix) CheckHost(ctx context.Context) error {
	var problems []error
	add := func(err error) {
		if err != nil {
			problems = append(problems, err)
		}
	}
	if os.Geteuid() != 0 {
		add(errors.New("ohpc-build must be root to assemble root file systems; run: sudo ohpc-build matrix"))
	}
	if _, err := sandbox.New(m.opt.Runtime, filepath.Join(m.opt.State, "run")); err != nil {
		add(err)
	}
	add(checkSpace(m.opt.State, minimumFree))
	asked := map[string]bool{}
	for _, c := range m.cells {
		if !asked[c.Arch] {
			asked[c.Arch] = true
			add(emulate.Preflight(ctx, c.Arch))
		}
		if c.Target.Image.Bootstrap != nil {
			if _, err := exec.LookPath("mmdebstrap"); err != nil && !asked["mmdebstrap"] {
				asked["mmdebstrap"] = true
				add(fmt.Errorf("mmdebstrap is not installed, which makes the image of %s; run: sudo sh ci/setup-host.sh, or install the package mmdebstrap", c.Target.Name))
			}
		}
	}
	if len(problems) > 0 {
		return &HostError{Problems: problems}
	}
	return nil
}

func checkSpace(dir string, want uint64) error {
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		return fmt.Errorf("the state folder %s: %w", dir, err)
	}
	free := fs.Bavail * uint64(fs.Bsize)
	if free < want {
		return fmt.Errorf("the file system of %s has %.1f GiB free, a run wants %.1f; free some (rm -r %s loses nothing but time), or name another folder with --state",
			dir, float64(free)/(1<<30), float64(want)/(1<<30), dir)
	}
	return nil
}
