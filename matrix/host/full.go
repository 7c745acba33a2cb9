package host

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ohpc-build/ohpc-build/matrix/cache"
)

// FullError says that a file system is full. Nothing half-written is left under a
// name that counts, so that the next run goes on from there.
type FullError struct {
	Dir      string // on the file system
	Free     int64  // bytes, once what was being written is gone
	State    string // the state folder
	Freeable int64  // bytes that cache gc could free there; 0 when it does not help
	Err      error
}

func (e *FullError) Error() string {
	advice := fmt.Sprintf("make room there (the cache in %s is not what fills it)", e.State)
	if e.Freeable > 0 {
		advice = fmt.Sprintf("the cache holds %s that can go: ohpc-build cache gc --state %s --max-size SIZE (cache list shows what it is), or name another folder with --state",
			gib(e.Freeable), e.State)
	}
	return fmt.Sprintf("the disk is full: the file system of %s has %s free; %s: %v", e.Dir, gib(e.Free), advice, e.Err)
}

func (e *FullError) Unwrap() error { return e.Err }

func gib(n int64) string {
	if n < 1<<30 {
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	}
	return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
}

// measureTimeout bounds how long is looked for what could be freed: a run that has
// failed should say so.
const measureTimeout = time.Minute

// ExplainFull returns a *FullError when a full disk is behind an error of a run with
// these folders, and the error itself otherwise.
func ExplainFull(err error, state string, others ...string) error {
	var full *FullError
	if err == nil || errors.As(err, &full) {
		return err
	}
	certain := errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT)
	if !certain && !toldFull(err) {
		return err
	}
	full = &FullError{State: state, Err: err}
	full.Dir, full.Free = fullest(err, append([]string{state}, others...)...)
	// A program in a container says so of its own small folders as well, or because a
	// test of a package wanted it to.
	if full.Dir == "" || !certain && full.Free >= minimumFree {
		return err
	}
	if sameFileSystem(full.Dir, state) {
		// The run may have been interrupted too; this is still worth saying.
		ctx, cancel := context.WithTimeout(context.Background(), measureTimeout)
		defer cancel()
		if c, err := cache.Open(state); err == nil {
			full.Freeable, _ = c.Freeable(ctx)
		}
	}
	return full
}

// told is what programs print for ENOSPC and EDQUOT, and rpm before it even begins
// (rpm: rpmProblemString).
var told = regexp.MustCompile(`(?i)no space left on device|disk quota exceeded|needs \d+\S* more (space|inodes) on the \S+ filesystem`)

// toldFull says whether an error repeats such words.
func toldFull(err error) bool { return told.MatchString(err.Error()) }

// fullest is the folder on whose file system there was no room: the one that the
// error names, or that of the run's folders which has least.
func fullest(err error, folders ...string) (dir string, free int64) {
	var path *fs.PathError
	var link *os.LinkError
	switch {
	case errors.As(err, &path) && filepath.IsAbs(path.Path):
		folders = []string{path.Path}
	case errors.As(err, &link) && filepath.IsAbs(link.New):
		folders = []string{link.New}
	}
	for _, f := range folders {
		// What was being written is gone already, perhaps with its folder.
		for _, err := os.Lstat(f); err != nil && f != filepath.Dir(f); _, err = os.Lstat(f) {
			f = filepath.Dir(f)
		}
		if n, err := cache.Free(f); err == nil && (dir == "" || n < free) {
			dir, free = f, n
		}
	}
	return dir, free
}

func sameFileSystem(a, b string) bool {
	var x, y unix.Stat_t
	return unix.Stat(a, &x) == nil && unix.Stat(b, &y) == nil && x.Dev == y.Dev
}
