package remote

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/ohpc-build/ohpc-build/repo/layout"
	"github.com/ohpc-build/ohpc-build/repo/snapshot"
	"golang.org/x/sync/errgroup"
)

// Verify compares every file of the snapshots that these channels name with the
// bucket's, byte by byte. It downloads all of them.
func (c *Copy) Verify(ctx context.Context, pointers ...layout.Pointer) error {
	for _, p := range pointers {
		if err := c.verify(ctx, p); err != nil {
			return fmt.Errorf("verifying the copy of %s: %w", p, err)
		}
	}
	return nil
}

func (c *Copy) verify(ctx context.Context, p layout.Pointer) error {
	b, err := c.get(ctx, p.Mirrorlist())
	if err != nil {
		return err
	}
	if b == nil {
		return fmt.Errorf("%s is not there", p.Mirrorlist())
	}
	ids, err := layout.ParseMirrorlist(b, p.Target)
	if err != nil {
		return err
	}
	id := ids[0]
	snap, err := snapshot.Open(c.root, p.Target, id)
	if err != nil {
		return err
	}
	files, err := filesOf(snap.Dir)
	if err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(c.opt.Workers)
	for _, f := range files {
		for _, prefix := range []string{layout.SnapshotDir(p.Target, id) + "/", p.Link() + "/"} {
			g.Go(func() error {
				return c.same(ctx, prefix+f.name, filepath.Join(snap.Dir, filepath.FromSlash(f.name)))
			})
		}
	}
	return g.Wait()
}

// same compares an object with a file.
func (c *Copy) same(ctx context.Context, key, file string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	ok := false
	err = c.patience.with(ctx, func(ctx context.Context, progress func()) error {
		r, err := c.bucket.NewReader(ctx, key, nil)
		if err != nil {
			return err
		}
		defer r.Close() //nolint:errcheck // it was only read
		ok, err = equal(f, moving{r, progress})
		return err
	})
	if err != nil {
		return fmt.Errorf("%s: %w", key, err)
	}
	if !ok {
		return fmt.Errorf("%s is not what %s is", key, file)
	}
	return nil
}

func equal(a, b io.Reader) (bool, error) {
	const piece = 64 << 10
	x, y := make([]byte, piece), make([]byte, piece)
	for {
		n, errA := io.ReadFull(a, x)
		m, errB := io.ReadFull(b, y)
		if n != m || !bytes.Equal(x[:n], y[:m]) {
			return false, nil
		}
		endA := errors.Is(errA, io.EOF) || errors.Is(errA, io.ErrUnexpectedEOF)
		endB := errors.Is(errB, io.EOF) || errors.Is(errB, io.ErrUnexpectedEOF)
		switch {
		case endA && endB:
			return true, nil
		case errA != nil && !endA:
			return false, errA
		case errB != nil && !endB:
			return false, errB
		case endA || endB:
			return false, nil
		}
	}
}
