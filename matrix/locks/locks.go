package locks

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/ohpc-build/ohpc-build/builder/resolve"
)

// maxLock bounds a lock file, in bytes.
const maxLock = 16 << 20

// Read reads a lock file, or all of a folder, by job. No path is no locks.
func Read(path string) (map[string]*resolve.Lock, error) {
	if path == "" {
		return nil, nil
	}
	fi, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("reading the lock: %w", err)
	}
	files := []string{path}
	if fi.IsDir() {
		if files, err = filepath.Glob(filepath.Join(path, "*.json")); err != nil || len(files) == 0 {
			return nil, fmt.Errorf("%s has no lock files: a build writes them to report/locks of its output folder", path)
		}
	}
	locks := map[string]*resolve.Lock{}
	for _, file := range files {
		l, err := read(file)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		if locks[l.Job] != nil {
			return nil, fmt.Errorf("%s is a second lock of %s", file, l.Job)
		}
		locks[l.Job] = l
	}
	return locks, nil
}

func read(file string) (*resolve.Lock, error) {
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

// Write writes a job's lock into a folder, which it makes.
func Write(dir string, l *resolve.Lock) error {
	text, err := l.JSON()
	if err != nil {
		return fmt.Errorf("writing the lock of %s: %w", l.Job, err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("writing the lock of %s: %w", l.Job, err)
	}
	path := filepath.Join(dir, strings.ReplaceAll(l.Job, "/", "_")+".json")
	if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, text) {
		return nil // most are as they were, and reading is cheaper than writing
	}
	if err := os.WriteFile(path, text, 0o644); err != nil {
		return fmt.Errorf("writing the lock of %s: %w", l.Job, err)
	}
	return nil
}
