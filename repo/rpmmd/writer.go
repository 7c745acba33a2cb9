package rpmmd

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

const xmlHeader = `<?xml version="1.0" encoding="UTF-8"?>` + "\n"

// Writer writes a repository's metadata package by package, holding none of
// them: memory does not grow with their number. Close finishes; whoever gives
// up calls Discard, which after Close does nothing.
type Writer struct {
	dir   string
	opt   Options
	left  int       // packages still to come
	last  string    // location of the last one
	newer time.Time // build time of the newest
	buf   Fragments

	primary, filelists, other *stream
}

// NewWriter begins the metadata of a repository of count packages in dir.
func NewWriter(dir string, count int, opt Options) (*Writer, error) {
	kinds := []string{"primary", "filelists", "other"}
	for _, d := range opt.Documents {
		if err := d.check(); err != nil {
			return nil, fmt.Errorf("writing metadata: %w", err)
		}
		if slices.Contains(kinds, d.Kind) {
			return nil, fmt.Errorf("writing metadata: there are two documents of kind %s", d.Kind)
		}
		kinds = append(kinds, d.Kind)
	}
	w := &Writer{dir: dir, opt: opt, left: count}
	if err := os.MkdirAll(filepath.Join(dir, Dir), 0o755); err != nil {
		return nil, fmt.Errorf("writing metadata: %w", err)
	}
	packages := ` packages="` + strconv.Itoa(count) + "\">\n"
	for _, s := range []struct {
		to             **stream
		name, root, ns string
	}{
		{&w.primary, "primary", "metadata", `common" xmlns:rpm="http://linux.duke.edu/metadata/rpm`},
		{&w.filelists, "filelists", "filelists", "filelists"},
		{&w.other, "other", "otherdata", "other"},
	} {
		st, err := newStream(filepath.Join(dir, Dir), s.name+".xml", opt.Compression)
		if err != nil {
			w.Discard()
			return nil, fmt.Errorf("writing metadata: %w", err)
		}
		*s.to = st
		st.tail = "</" + s.root + ">\n"
		head := xmlHeader + "<" + s.root + ` xmlns="http://linux.duke.edu/metadata/` + s.ns + `"` + packages
		if _, err := st.Write([]byte(head)); err != nil {
			w.Discard()
			return nil, fmt.Errorf("writing metadata: %w", err)
		}
	}
	return w, nil
}

// Add writes one package. Packages come in the order of their locations.
func (w *Writer) Add(e Entry) error {
	w.buf.Reset()
	if err := w.buf.Append(e, w.opt.Changes); err != nil {
		return err
	}
	return w.AddFragments(e.Location, e.Package.BuildTime, w.buf)
}

// AddFragments is Add for a package that was rendered before, for that location.
func (w *Writer) AddFragments(location string, built time.Time, f Fragments) error {
	if location <= w.last {
		return fmt.Errorf("writing metadata: package %s comes after %s, but packages are written in order and once", location, w.last)
	}
	if w.left == 0 {
		return fmt.Errorf("writing metadata: package %s is one more than announced", location)
	}
	w.last = location
	w.left--
	if built.After(w.newer) {
		w.newer = built
	}
	for _, part := range []struct {
		to *stream
		b  []byte
	}{{w.primary, f.Primary}, {w.filelists, f.Filelists}, {w.other, f.Other}} {
		if _, err := part.to.Write(part.b); err != nil {
			return fmt.Errorf("writing metadata: %w", err)
		}
	}
	return nil
}

// Close finishes the data files, gives them their names and writes repomd.xml
// last. All of them are durable when it returns.
func (w *Writer) Close() (*Repomd, error) {
	defer w.Discard()
	if w.left != 0 {
		return nil, fmt.Errorf("writing metadata: %d announced packages did not come", w.left)
	}
	at := w.opt.Time
	if at.IsZero() {
		if at = w.newer; at.IsZero() {
			at = time.Unix(0, 0)
		}
	}
	md := &Repomd{Tags: w.opt.Tags, Revision: cmp.Or(w.opt.Revision, strconv.FormatInt(at.Unix(), 10))}
	for _, s := range []*stream{w.primary, w.filelists, w.other} {
		d, err := s.finish()
		if err != nil {
			return nil, fmt.Errorf("writing metadata: %w", err)
		}
		d.Timestamp = at.Unix()
		md.Data = append(md.Data, d)
	}
	for _, doc := range w.opt.Documents {
		data, err := w.document(doc, at)
		if err != nil {
			return nil, fmt.Errorf("writing metadata: %w", err)
		}
		md.Data = append(md.Data, data...)
	}
	b, err := md.XML()
	if err != nil {
		return nil, fmt.Errorf("writing metadata: %w", err)
	}
	if err := replaceFile(filepath.Join(w.dir, RepomdFile), b); err != nil {
		return nil, fmt.Errorf("writing metadata: %w", err)
	}
	return md, nil
}

// document writes one of the further files.
func (w *Writer) document(doc Document, at time.Time) ([]Data, error) {
	name := doc.Name
	s, err := newStream(filepath.Join(w.dir, Dir), name, w.opt.Compression)
	if err != nil {
		return nil, err
	}
	defer s.discard()
	if _, err := s.Write(doc.Content); err != nil {
		return nil, err
	}
	compressed, err := s.finish()
	if err != nil {
		return nil, err
	}
	compressed.Type, compressed.Timestamp = doc.Kind, at.Unix()
	if doc.Kind != KindGroup {
		return []Data{compressed}, nil
	}
	compressed.Type += "_" + string(cmp.Or(w.opt.Compression, Gzip))
	plain := Data{
		Type: doc.Kind, Checksum: compressed.OpenChecksum, Size: compressed.OpenSize, Timestamp: at.Unix(),
		Location: Dir + "/" + compressed.OpenChecksum.Value + "-" + name,
	}
	return []Data{plain, compressed}, replaceFile(filepath.Join(w.dir, filepath.FromSlash(plain.Location)), doc.Content)
}

// Discard removes what is unfinished.
func (w *Writer) Discard() {
	for _, s := range []*stream{w.primary, w.filelists, w.other} {
		if s != nil {
			s.discard()
		}
	}
}

// Write writes the metadata of a repository in dir that holds these packages.
func Write(ctx context.Context, dir string, entries []Entry, opt Options) (*Repomd, error) {
	sorted := slices.SortedFunc(slices.Values(entries), func(a, b Entry) int { return cmp.Compare(a.Location, b.Location) })
	w, err := NewWriter(dir, len(sorted), opt)
	if err != nil {
		return nil, err
	}
	defer w.Discard()
	for _, e := range sorted {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if err := w.Add(e); err != nil {
			return nil, err
		}
	}
	return w.Close()
}

// stream is one data file while it is written.
type stream struct {
	kind       string
	suffix     string
	tail       string
	file       *os.File // temporary; nil when finished or discarded
	compressor io.WriteCloser
	open, shut hash.Hash // of what goes into the compressor, and comes out
	openSize   int64
	size       int64
}

func newStream(dir, kind string, c Compression) (*stream, error) {
	s := &stream{kind: kind, suffix: "." + string(cmp.Or(c, Gzip)), open: sha256.New(), shut: sha256.New()}
	f, err := os.CreateTemp(dir, "."+kind+"-")
	if err != nil {
		return nil, err
	}
	s.file = f
	out := writerFunc(func(b []byte) (int, error) {
		s.shut.Write(b)
		s.size += int64(len(b))
		return f.Write(b)
	})
	switch cmp.Or(c, Gzip) {
	case Gzip:
		s.compressor = gzip.NewWriter(out) // its header has neither name nor time
	case Zstd:
		s.compressor, err = zstd.NewWriter(out, zstd.WithEncoderConcurrency(1))
	default:
		err = fmt.Errorf("unknown compression %q: expected %q or %q", c, Gzip, Zstd)
	}
	if err != nil {
		s.discard()
		return nil, err
	}
	return s, nil
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

func (s *stream) Write(b []byte) (int, error) {
	s.open.Write(b)
	s.openSize += int64(len(b))
	return s.compressor.Write(b)
}

func (s *stream) finish() (Data, error) {
	if _, err := s.Write([]byte(s.tail)); err != nil {
		return Data{}, err
	}
	if err := s.compressor.Close(); err != nil {
		return Data{}, err
	}
	sum := hex.EncodeToString(s.shut.Sum(nil))
	name := sum + "-" + s.kind + s.suffix
	if err := commit(s.file, filepath.Join(filepath.Dir(s.file.Name()), name)); err != nil {
		return Data{}, err
	}
	s.file = nil
	return Data{
		Type:         strings.TrimSuffix(s.kind, ".xml"),
		Location:     Dir + "/" + name,
		Checksum:     Checksum{"sha256", sum},
		OpenChecksum: Checksum{"sha256", hex.EncodeToString(s.open.Sum(nil))},
		Size:         s.size,
		OpenSize:     s.openSize,
	}, nil
}

func (s *stream) discard() {
	if s.file != nil {
		s.file.Close()
		os.Remove(s.file.Name())
		s.file = nil
	}
}

// commit makes a temporary file durable and gives it its name.
func commit(f *os.File, name string) error {
	if err := f.Chmod(0o644); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}

func replaceFile(name string, b []byte) error {
	f, err := os.CreateTemp(filepath.Dir(name), ".new-")
	if err != nil {
		return err
	}
	defer func() {
		f.Close()
		os.Remove(f.Name()) // after the rename there is nothing to remove
	}()
	if _, err := f.Write(b); err != nil {
		return err
	}
	return commit(f, name)
}
