package remote

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/ohpc-build/ohpc-build/repo/lock"
)

const (
	ownerKey  = "owner.json" // in the bucket
	treeFile  = ".tree-id"   // in the tree's root
	lockFile  = ".copy.lock"
	maxTreeID = 64
)

// owner tells whose copy a bucket holds.
type owner struct {
	Tree string `json:"tree"`
}

// OwnerError says that the bucket holds another tree's copy. Two trees in one
// bucket would move its channels to and fro, and remove each other's snapshots.
type OwnerError struct{ Tree, Other string }

func (e *OwnerError) Error() string {
	return fmt.Sprintf("the storage holds the copy of another tree (%s; this one is %s): use another place, or take it over (--take-over)", e.Other, e.Tree)
}

// owned does something to the bucket when it is this tree's, one process at a time.
func (c *Copy) owned(ctx context.Context, do func() error) (err error) {
	l, err := lock.Exclusive(ctx, filepath.Join(c.root, lockFile), c.opt.Wait)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.Release()) }()
	id, err := c.treeID()
	if err != nil {
		return err
	}
	b, err := c.get(ctx, ownerKey)
	if err != nil {
		return err
	}
	var was owner
	if b != nil {
		if err := json.Unmarshal(b, &was); err != nil || was.Tree == "" {
			return fmt.Errorf("%s in the storage is not ours: %q", ownerKey, b[:min(len(b), 80)])
		}
	}
	switch {
	case was.Tree == id:
	case was.Tree != "" && !c.opt.TakeOver:
		return &OwnerError{Tree: id, Other: was.Tree}
	default:
		b, err := json.Marshal(owner{id})
		if err != nil {
			return err
		}
		if err := c.put(ctx, ownerKey, append(b, '\n')); err != nil {
			return err
		}
	}
	return do()
}

// treeID is a name of the tree that no other has. It is made when first needed.
func (c *Copy) treeID() (string, error) {
	path := filepath.Join(c.root, treeFile)
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		id := rand.Text()
		// Beside its place first: half a name would be another tree's.
		if err := os.WriteFile(path+".new", []byte(id+"\n"), 0o644); err != nil {
			return "", err
		}
		return id, os.Rename(path+".new", path)
	}
	id := strings.TrimSpace(string(b))
	if err == nil && (id == "" || len(id) > maxTreeID) {
		err = fmt.Errorf("%s holds no name of a tree; remove it to be given a new one", path)
	}
	return id, err
}
