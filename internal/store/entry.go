package store

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Entry is an object or a record as it lies on disk.
type Entry struct {
	Kind  string    // of a record; empty for an object
	ID    string    // 64 hexadecimal digits: an object's digest, the digest of a record's name
	Bytes int64     // what it takes on disk
	Links uint64    // how many names the file has; others than this one are in published repositories
	Used  time.Time // when it was last used, at most a day too early
}

// RecordID is the ID of the record of that name.
func RecordID(name string) string { return Of([]byte(name)).Hex() }

// Digest is an object's.
func (e Entry) Digest() Digest { return digestPrefix + Digest(e.ID) }

// path is relative to the store's folder.
func (e Entry) path() string {
	if e.Kind == "" {
		return path.Join("objects", "sha256", e.ID[:2], e.ID)
	}
	return path.Join("records", e.Kind, e.ID+".json")
}

// Entries lists all that the store holds, and the paths of what nobody knows how it
// got there. It follows no symbolic link.
func (s *Store) Entries(ctx context.Context) (entries []Entry, strange []string, err error) {
	root, err := os.OpenRoot(s.dir)
	if err != nil {
		return nil, nil, fmt.Errorf("listing the store: %w", err)
	}
	defer root.Close()
	for _, top := range []string{"objects/sha256", "records"} {
		err := fs.WalkDir(root.FS(), top, func(name string, d fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) {
				return nil // another process has replaced it
			}
			if err != nil {
				return err
			}
			if d.IsDir() {
				return context.Cause(ctx)
			}
			e := parseEntry(name)
			fi, err := d.Info()
			switch {
			case errors.Is(err, fs.ErrNotExist):
				return nil
			case err != nil:
				return err
			case e.ID == "" || e.path() != name || !fi.Mode().IsRegular():
				strange = append(strange, filepath.Join(s.dir, name))
				return nil
			}
			entries = append(entries, e.with(fi))
			return nil
		})
		if err != nil {
			return nil, nil, fmt.Errorf("listing the store: %w", err)
		}
	}
	return entries, strange, nil
}

// parseEntry returns one without ID when the path is no entry's.
func parseEntry(name string) Entry {
	var e Entry
	dir, base := path.Split(name)
	if kind, ok := strings.CutPrefix(dir, "records/"); ok {
		e.Kind = strings.TrimSuffix(kind, "/")
		base = strings.TrimSuffix(base, ".json")
	}
	if _, err := hex.DecodeString(base); err != nil || digestLength != len(digestPrefix)+len(base) {
		return Entry{}
	}
	e.ID = base
	return e
}

func (e Entry) with(fi fs.FileInfo) Entry {
	e.Bytes, e.Links, e.Used = DiskUse(fi), links(fi), fi.ModTime()
	return e
}

// DiskUse is what a file takes on disk, in bytes: less than its size when it has
// holes, more when its last block is not full.
func DiskUse(fi fs.FileInfo) int64 {
	if st, ok := fi.Sys().(*syscall.Stat_t); ok {
		return st.Blocks * 512
	}
	return fi.Size()
}

func links(fi fs.FileInfo) uint64 {
	if st, ok := fi.Sys().(*syscall.Stat_t); ok {
		return uint64(st.Nlink) //nolint:unconvert // its width depends on the architecture
	}
	return 1
}

// ReadEntry reads a record of the list into v, and does not count as its use.
func (s *Store) ReadEntry(e Entry, v any) error {
	return s.readRecord(filepath.Join(s.dir, e.path()), e.Kind+"/"+e.ID, v)
}

// Peek is [Store.Record] for whoever looks whether a record is of use: it does not
// count as one, and a sweep may remove the record afterwards.
func (s *Store) Peek(kind, name string, v any) error {
	return s.readRecord(s.recordPath(kind, name), kind+"/"+name, v)
}
