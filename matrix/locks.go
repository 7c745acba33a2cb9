package matrix

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ohpc-build/ohpc-build/builder/resolve"
	"github.com/ohpc-build/ohpc-build/matrix/plan"
	"github.com/ohpc-build/ohpc-build/recipes"
)

// maxLock bounds a lock file, in bytes.
const maxLock = 16 << 20

// readLocks reads a lock file, or all of a folder, by job.
func readLocks(path string) (map[string]*resolve.Lock, error) {
	if path == "" {
		return nil, nil
	}
	fi, err := os.Stat(path)
	if err != nil {
		return nil, &UsageError{fmt.Errorf("reading the lock: %w", err)}
	}
	files := []string{path}
	if fi.IsDir() {
		if files, err = filepath.Glob(filepath.Join(path, "*.json")); err != nil || len(files) == 0 {
			return nil, &UsageError{fmt.Errorf("%s has no lock files: a build writes them to report/locks of its output folder", path)}
		}
	}
	locks := map[string]*resolve.Lock{}
	for _, file := range files {
		l, err := readLock(file)
		if err != nil {
			return nil, &UsageError{fmt.Errorf("%s: %w", file, err)}
		}
		if locks[l.Job] != nil {
			return nil, &UsageError{fmt.Errorf("%s is a second lock of %s", file, l.Job)}
		}
		locks[l.Job] = l
	}
	return locks, nil
}

func readLock(file string) (*resolve.Lock, error) {
	fi, err := os.Stat(file)
	if err != nil {
		return nil, err
	}
	if !fi.Mode().IsRegular() || fi.Size() > maxLock {
		return nil, fmt.Errorf("it is no file of at most %d bytes", maxLock)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	return resolve.ReadLock(text)
}

// checkLocks says which of the jobs that were asked for have no lock, when such were
// given: what is built from them must not depend on anything else. Meta-packages have
// no build root, and so no lock.
func (m *Matrix) checkLocks(locks map[string]*resolve.Lock) error {
	if locks == nil {
		return nil
	}
	var without []string
	for _, j := range m.jobs.Plan.Jobs {
		if locks[j.ID] == nil && slices.Contains(m.opt.Recipes, j.Recipe) && m.jobs.Variant(j).Recipe.Kind != recipes.MetaPackage {
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
	text, err := l.JSON()
	if err != nil {
		return fmt.Errorf("writing the lock of %s: %w", j.ID, err)
	}
	dir := filepath.Join(m.opt.Out, ReportFolder, "locks")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("writing the lock of %s: %w", j.ID, err)
	}
	path := filepath.Join(dir, strings.ReplaceAll(j.ID, "/", "_")+".json")
	if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, text) {
		return nil // most are as they were, and reading is cheaper than writing
	}
	if err := os.WriteFile(path, text, 0o644); err != nil {
		return fmt.Errorf("writing the lock of %s: %w", j.ID, err)
	}
	return nil
}
