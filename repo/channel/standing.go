package channel

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/ohpc-build/ohpc-build/repo/layout"
)

// Standing is what was noted of a snapshot's standing. The error is fs.ErrNotExist when
// nothing was. What it says is for those who noted it.
func (t *Tree) Standing(target, id string) ([]byte, error) {
	if err := checkSnapshot(target, id); err != nil {
		return nil, err
	}
	b, err := t.read(layout.StandingFile(target, id))
	if err != nil {
		return nil, fmt.Errorf("reading the standing of snapshot %s of %s: %w", id, target, err)
	}
	return b, nil
}

// Noted are the ids of a target's snapshots of whose standing something was noted, in
// order.
func (t *Tree) Noted(target string) ([]string, error) {
	if err := layout.CheckTarget(target); err != nil {
		return nil, err
	}
	dir, suffix := path.Split(layout.StandingFile(target, ""))
	names, err := t.list(path.Clean(dir))
	if err != nil {
		return nil, fmt.Errorf("listing what is noted of the snapshots of %s: %w", target, err)
	}
	var ids []string
	for _, name := range names {
		if id, ok := strings.CutSuffix(name, suffix); ok && layout.IsID(id) {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

// Status is what a channel's clients can read of its standing. The error is
// fs.ErrNotExist when nothing is told.
func (t *Tree) Status(p layout.Pointer) ([]byte, error) {
	if err := p.Check(); err != nil {
		return nil, err
	}
	b, err := t.read(p.StatusFile())
	if err != nil {
		return nil, fmt.Errorf("reading the status of %s: %w", p, err)
	}
	return b, nil
}

// Note keeps what is known of a snapshot's standing. Every channel that points to it,
// now or later, tells it.
func (t *Tree) Note(ctx context.Context, target, id string, standing []byte) error {
	if err := checkSnapshot(target, id); err != nil {
		return err
	}
	unlock, err := t.lock(ctx)
	if err != nil {
		return fmt.Errorf("noting a standing: %w", err)
	}
	if err := errors.Join(t.note(target, id, standing), unlock()); err != nil {
		return fmt.Errorf("noting the standing of snapshot %s of %s: %w", id, target, err)
	}
	return nil
}

func (t *Tree) note(target, id string, standing []byte) error {
	if _, err := t.root.Lstat(layout.SnapshotDir(target, id)); err != nil {
		return err
	}
	name := layout.StandingFile(target, id)
	if err := t.root.MkdirAll(path.Dir(name), 0o755); err != nil {
		return err
	}
	if err := t.replace(name, standing); err != nil {
		return err
	}
	pointers, err := t.Pointers()
	if err != nil {
		return err
	}
	for _, p := range pointers {
		if p.Target != target {
			continue
		}
		if is, err := t.currentID(p); err != nil || is != id {
			continue // what is wrong there, others tell
		}
		if err := t.replace(p.StatusFile(), standing); err != nil {
			return err
		}
	}
	return nil
}

// checkStatus tells whether a channel tells what was noted of its snapshot.
func (t *Tree) checkStatus(p layout.Pointer, id string) error {
	noted, err := t.Standing(p.Target, id)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	told, err := t.Status(p)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if !bytes.Equal(noted, told) {
		return fmt.Errorf("%s: it is not what was noted of snapshot %s", p.StatusFile(), id)
	}
	return nil
}

func checkSnapshot(target, id string) error {
	if err := layout.CheckTarget(target); err != nil {
		return err
	}
	if !layout.IsID(id) {
		return fmt.Errorf("%q cannot be a snapshot's id", id)
	}
	return nil
}
