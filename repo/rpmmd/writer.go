package rpmmd

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"time"

	"github.com/ohpc-build/ohpc-build/repo/rpmmd/blocks"
)

const xmlHeader = `<?xml version="1.0" encoding="UTF-8"?>` + "\n"

// Writer writes a repository's metadata package by package, holding few of
// them: memory does not grow with their number. Close finishes; whoever gives
// up calls Discard, which after Close does nothing.
type Writer struct {
	dir   string
	opt   Options
	left  int       // packages still to come
	last  string    // location of the last one
	newer time.Time // build time of the newest
	buf   Fragments

	pool    *blocks.Pool
	streams []*stream // primary, filelists, other
	run     Block     // the block that is being filled
	blocks  []Block
}

// NewWriter begins the metadata of a repository of count packages in dir.
func NewWriter(dir string, count int, opt Options) (*Writer, error) {
	w, err := newWriter(dir, count, opt)
	if err != nil {
		return nil, fmt.Errorf("writing metadata: %w", err)
	}
	return w, nil
}

func newWriter(dir string, count int, opt Options) (*Writer, error) {
	if err := opt.check(); err != nil {
		return nil, err
	}
	if opt.Workers <= 0 {
		opt.Workers = runtime.GOMAXPROCS(0)
	}
	pool, err := blocks.NewPool(blocks.Format(cmp.Or(opt.Compression, Gzip)), opt.Workers)
	if err != nil {
		return nil, err
	}
	w := &Writer{dir: dir, opt: opt, left: count, pool: pool}
	if err := os.MkdirAll(filepath.Join(dir, Dir), 0o755); err != nil {
		return nil, err
	}
	for _, k := range kinds {
		s, err := w.newStream(k.name + ".xml")
		if err != nil {
			w.Discard()
			return nil, err
		}
		w.streams = append(w.streams, s)
		s.write([]byte(xmlHeader + "<" + k.root + ` xmlns="http://linux.duke.edu/metadata/` + k.space + `" packages="` + strconv.Itoa(count) + "\">\n"))
		s.cut()
	}
	return w, nil
}

// kinds are the three data files of every repository.
var kinds = [...]struct{ name, root, space string }{
	{"primary", "metadata", `common" xmlns:rpm="http://linux.duke.edu/metadata/rpm`},
	{"filelists", "filelists", "filelists"},
	{"other", "otherdata", "other"},
}

func (o Options) check() error {
	if _, err := newHash(o.checksum("")); err != nil {
		return err
	}
	var taken []string
	for _, k := range kinds {
		taken = append(taken, k.name)
	}
	for _, d := range o.Documents {
		if err := d.check(); err != nil {
			return err
		}
		if slices.Contains(taken, d.Kind) {
			return fmt.Errorf("there are two documents of kind %s", d.Kind)
		}
		taken = append(taken, d.Kind)
	}
	for _, d := range o.Keep {
		if slices.Contains(taken, d.Type) {
			return fmt.Errorf("the document of kind %s that is to be kept is there already", d.Type)
		}
	}
	return nil
}

func (o Options) checksum(value string) Checksum {
	return Checksum{cmp.Or(o.Checksum, "sha256"), value}
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
	if err := w.admit(location, location, 1, built); err != nil {
		return err
	}
	if w.run.Packages == 0 {
		w.run.First = location
	}
	w.run.Last = location
	w.run.Packages++
	if built.After(w.run.Built) {
		w.run.Built = built
	}
	full := EndsBlock(location)
	for i, b := range [...][]byte{f.Primary, f.Filelists, f.Other} {
		w.streams[i].write(b)
		full = full || len(w.streams[i].buf) >= fullBlock
	}
	if full {
		w.run.Complete = true
		w.cut()
	}
	return nil
}

// admit checks that packages come in order, and as many as announced.
func (w *Writer) admit(first, last string, n int, built time.Time) error {
	if first <= w.last {
		return fmt.Errorf("writing metadata: package %s comes after %s, but packages are written in order and once", first, w.last)
	}
	if w.left < n {
		return fmt.Errorf("writing metadata: package %s is one more than announced", last)
	}
	w.last = last
	w.left -= n
	if built.After(w.newer) {
		w.newer = built
	}
	return nil
}

// cut ends the current block.
func (w *Writer) cut() {
	for _, s := range w.streams {
		s.cut()
	}
	w.blocks = append(w.blocks, w.run)
	w.run = Block{}
}

// Close finishes the data files, gives them their names and writes repomd.xml
// last. All of them are durable when it returns, unless Options say otherwise.
func (w *Writer) Close() (*Repomd, error) {
	defer w.Discard()
	md, err := w.finish()
	if err != nil {
		return nil, fmt.Errorf("writing metadata: %w", err)
	}
	return md, nil
}

func (w *Writer) finish() (*Repomd, error) {
	if w.left != 0 {
		return nil, fmt.Errorf("%d announced packages did not come", w.left)
	}
	if w.run.Packages > 0 {
		w.cut()
	}
	at := w.opt.Time
	if at.IsZero() {
		if at = w.newer; at.IsZero() {
			at = time.Unix(0, 0)
		}
	}
	md := &Repomd{Revision: cmp.Or(w.opt.Revision, strconv.FormatInt(at.Unix(), 10)), Tags: w.opt.Tags}
	for i, s := range w.streams {
		s.write([]byte("</" + kinds[i].root + ">\n"))
		d, spans, err := s.finish()
		if err != nil {
			return nil, err
		}
		for k := range w.blocks {
			w.blocks[k].parts[i] = spans[k+1] // after the head
		}
		d.Type = kinds[i].name
		md.Data = append(md.Data, d)
	}
	for _, doc := range w.opt.Documents {
		data, err := w.document(doc)
		if err != nil {
			return nil, err
		}
		md.Data = append(md.Data, data...)
	}
	for i := range md.Data {
		md.Data[i].Timestamp = at.Unix()
	}
	md.Data = append(md.Data, w.opt.Keep...)
	b, err := md.XML()
	if err != nil {
		return nil, err
	}
	return md, replaceFile(filepath.Join(w.dir, RepomdFile), b, !w.opt.Unsynced)
}

// document writes one of the further files.
func (w *Writer) document(doc Document) ([]Data, error) {
	s, err := w.newStream(doc.Name)
	if err != nil {
		return nil, err
	}
	defer s.discard()
	for part := range slices.Chunk(doc.Content, fullBlock) {
		s.write(part)
		s.cut()
	}
	compressed, _, err := s.finish()
	if err != nil {
		return nil, err
	}
	if compressed.Type = doc.Kind; doc.Kind != KindGroup {
		return []Data{compressed}, nil
	}
	compressed.Type += "_" + string(cmp.Or(w.opt.Compression, Gzip))
	plain := Data{
		Type: doc.Kind, Checksum: compressed.OpenChecksum, Size: compressed.OpenSize,
		Location: w.opt.location(compressed.OpenChecksum, doc.Name),
	}
	return []Data{plain, compressed}, replaceFile(filepath.Join(w.dir, filepath.FromSlash(plain.Location)), doc.Content, !w.opt.Unsynced)
}

// location is where a data file lies.
func (o Options) location(sum Checksum, name string) string {
	if o.SimpleNames {
		return Dir + "/" + name
	}
	return Dir + "/" + sum.Value + "-" + name
}

// Discard removes what is unfinished.
func (w *Writer) Discard() {
	for _, s := range w.streams {
		s.discard()
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
