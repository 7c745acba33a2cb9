package rpmmd

import (
	"cmp"
	"encoding/hex"
	"hash"
	"os"
	"path/filepath"

	"github.com/ohpc-build/ohpc-build/repo/rpmmd/blocks"
)

// stream is one data file while it is written.
type stream struct {
	opt  Options
	name string   // of the file, without digest and compression
	file *os.File // temporary; nil when finished or discarded
	out  *blocks.Writer
	buf  []byte // of the current block

	begun bool
}

func (w *Writer) newStream(name string) (*stream, error) {
	f, err := os.CreateTemp(filepath.Join(w.dir, Dir), "."+name+"-")
	if err != nil {
		return nil, err
	}
	newHashes := func() hash.Hash {
		h, _ := newHash(w.opt.checksum("")) // checked before
		return h
	}
	return &stream{opt: w.opt, name: name, file: f, out: blocks.NewWriter(f, w.pool, newHashes)}, nil
}

func (s *stream) write(b []byte) { s.buf = append(s.buf, b...) }

// cut ends a block; an empty one too, so that each file has as many.
func (s *stream) cut() {
	s.begun = true
	s.out.Add(s.buf)
	s.buf = s.out.Buffer()
}

func (s *stream) finish() (Data, []blocks.Span, error) {
	if len(s.buf) > 0 || !s.begun { // nothing at all is a block too
		s.cut()
	}
	result, err := s.out.Close()
	s.out = nil
	if err != nil {
		return Data{}, nil, err
	}
	d := Data{
		Checksum:     s.opt.checksum(hex.EncodeToString(result.Shut)),
		OpenChecksum: s.opt.checksum(hex.EncodeToString(result.Open)),
		Size:         result.ShutSize,
		OpenSize:     result.OpenSize,
	}
	d.Location = s.opt.location(d.Checksum, s.name+"."+string(cmp.Or(s.opt.Compression, Gzip)))
	if err := commit(s.file, filepath.Join(filepath.Dir(s.file.Name()), filepath.Base(d.Location)), !s.opt.Unsynced); err != nil {
		return Data{}, nil, err
	}
	s.file = nil
	return d, result.Spans, nil
}

func (s *stream) discard() {
	if s.out != nil {
		_, _ = s.out.Close() // what it wrote is removed
		s.out = nil
	}
	if s.file != nil {
		s.file.Close()
		os.Remove(s.file.Name())
		s.file = nil
	}
}

// commit gives a temporary file its name, when it is durable if that is asked for.
func commit(f *os.File, name string, durable bool) error {
	if err := f.Chmod(0o644); err != nil {
		return err
	}
	if durable {
		if err := f.Sync(); err != nil {
			return err
		}
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}

func replaceFile(name string, b []byte, durable bool) error {
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
	return commit(f, name, durable)
}
