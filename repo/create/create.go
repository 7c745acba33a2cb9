package create

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"github.com/ohpc-build/ohpc-build/repo/durable"
	"github.com/ohpc-build/ohpc-build/repo/rpmmd"
	"github.com/ohpc-build/ohpc-build/repo/rpmmd/blocks"
)

// Options say what the metadata are made of, and how.
type Options struct {
	Dir    string // folder of the packages
	Output string // folder that gets repodata; default: Dir

	Select Select
	Place  Place

	// Metadata say how they are written. Workers is also how many packages are
	// read at a time.
	Metadata rpmmd.Options

	// Checksum is the kind of digest that packages have; default: sha256.
	Checksum string

	// Index is the file that says what was written last; when empty, none is
	// read or written. Only Update reads it.
	Index string

	// Update takes what is known of packages whose size, time of modification
	// and inode are as they were, and what is compressed of their blocks. With
	// SkipStat packages of the same name are the same.
	Update, SkipStat bool

	// KeepDocuments keeps what the old metadata have besides packages, such as
	// groups and modules, unless there is a new document of the kind.
	KeepDocuments bool

	RequireSignatures bool
	Retain            Retain

	// Timestamps gives new files the metadata's time as their own.
	Timestamps bool

	// Sign, when set, makes the files that go beside repomd.xml, by their names.
	Sign func(repomd []byte) (map[string][]byte, error)
}

// Result is what was done.
type Result struct {
	Packages int
	Read     []string // packages whose files were read, relative to Dir
	Changed  bool     // there are new metadata
	Twice    []string // packages that are there more than once, with the same content

	// IndexError says why the index could not be kept; all else is done.
	IndexError error
}

// ErrBusy says that another process is writing the same metadata.
var ErrBusy = errors.New("another process is writing this repository's metadata; wait until it has ended")

// Run makes the metadata. When it fails, the old ones are as they were.
func Run(ctx context.Context, opt Options) (*Result, error) {
	c := &creation{Options: opt}
	c.Output = cmp.Or(opt.Output, opt.Dir)
	c.Metadata.Unsynced = true // until it is clear that they are new
	if c.Metadata.Workers <= 0 {
		c.Metadata.Workers = runtime.GOMAXPROCS(0)
	}
	if err := c.run(ctx); err != nil {
		return nil, err
	}
	return &c.result, nil
}

// creation is one run.
type creation struct {
	Options
	root     *os.Root // of the packages
	dir      *os.File // the same
	old      *rpmmd.Repomd
	index    *index // of the last run, may be empty
	packages []*candidate
	result   Result
}

func (c *creation) run(ctx context.Context) error {
	begun := time.Now()
	var err error
	if c.root, err = os.OpenRoot(c.Dir); err != nil {
		return fmt.Errorf("opening the folder of packages: %w", err)
	}
	defer c.root.Close()
	if c.dir, err = c.root.Open("."); err != nil {
		return fmt.Errorf("opening the folder of packages: %w", err)
	}
	defer c.dir.Close()
	w, err := openWorkplace(c.Output)
	if err != nil {
		return err
	}
	defer w.close()
	if c.old, err = rpmmd.ReadRepomd(c.Output); errors.Is(err, os.ErrNotExist) {
		c.old = nil
	} else if err != nil && c.Update {
		return fmt.Errorf("%w; without --update the metadata are made anew", err)
	}
	c.index = c.loadIndex()
	if c.packages, err = c.list(ctx); err != nil {
		return err
	}
	c.result.Packages = len(c.packages)
	if err := c.keepDocuments(w); err != nil {
		return err
	}
	written, err := c.write(ctx, w.dir)
	if errors.Is(err, blocks.ErrChanged) || errors.Is(err, errOldFiles) { // the old files are not what they were
		if err := w.empty(); err != nil {
			return err
		}
		if err := c.keepDocuments(w); err != nil {
			return err
		}
		c.index.blocks = nil
		written, err = c.write(ctx, w.dir)
	}
	if err != nil {
		return err
	}
	repomd, err := os.ReadFile(filepath.Join(w.dir, rpmmd.RepomdFile))
	if err != nil {
		return err
	}
	if err := c.sign(w.dir, repomd); err != nil {
		return err
	}
	if c.result.Changed, err = w.differs(); err != nil {
		return err
	}
	if c.result.Changed {
		if c.Timestamps {
			if err := w.setTimes(c.Metadata.Time); err != nil {
				return err
			}
		}
		if err := w.publish(c.old, c.Retain); err != nil {
			return err
		}
	}
	c.result.IndexError = c.saveIndex(written, repomd, begun)
	return nil
}

// sign writes what goes beside repomd.xml.
func (c *creation) sign(dir string, repomd []byte) error {
	if c.Sign == nil {
		return nil
	}
	// A signature of the same bytes is as good as a new one.
	old, err := os.ReadFile(filepath.Join(c.Output, rpmmd.RepomdFile))
	same := err == nil && bytes.Equal(old, repomd)
	files, err := c.Sign(repomd)
	if err != nil {
		return fmt.Errorf("signing repomd.xml: %w", err)
	}
	for name, b := range files {
		path := filepath.Join(rpmmd.Dir, name)
		if same {
			if there, err := os.ReadFile(filepath.Join(c.Output, path)); err == nil {
				b = there
			}
		}
		if err := durable.Write(filepath.Join(dir, path), b); err != nil {
			return err
		}
	}
	return nil
}

// keepDocuments puts the old metadata's documents beside what is to be written.
func (c *creation) keepDocuments(w *workplace) error {
	c.Metadata.Keep = nil
	if c.old == nil || !c.KeepDocuments {
		return nil
	}
	for _, d := range c.old.Data {
		if ofPackages(d.Type) || slices.ContainsFunc(c.Metadata.Documents, func(doc rpmmd.Document) bool { return replaces(doc.Kind, d.Type) }) {
			continue
		}
		if err := w.keep(d); err != nil {
			return err
		}
		c.Metadata.Keep = append(c.Metadata.Keep, d)
	}
	return nil
}
