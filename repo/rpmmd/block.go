package rpmmd

import (
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/ohpc-build/ohpc-build/repo/rpmmd/blocks"
)

// Block is a run of packages that are compressed together, apart from all others:
// where neither they nor their neighbours change, the next metadata can have the
// block as it is. Where blocks end is decided by the packages' locations, so that
// one package more or less changes the block that it is in.
type Block struct {
	First, Last string // locations
	Packages    int
	Built       time.Time // of the newest
	Complete    bool      // it would end here whatever came after it
	parts       [len(kinds)]blocks.Span
}

const (
	// blockMask makes a block end after each 128th package, on average: in one
	// of that size compression loses a few percent, and it takes a few milliseconds.
	blockMask = 127
	// fullBlock ends a block, in bytes of one of its data files.
	fullBlock = 1 << 20
)

// EndsBlock says whether a block always ends with the package at that location.
func EndsBlock(location string) bool {
	return crc32.ChecksumIEEE([]byte(location))&blockMask == blockMask
}

// Sources are the data files that blocks lie in.
type Sources [len(kinds)]io.ReaderAt

// OpenSources opens the data files of a repository's metadata. Whoever has copied the
// blocks closes them.
func OpenSources(dir string, md *Repomd) (s Sources, closeAll func(), err error) {
	var files []*os.File
	closeAll = func() {
		for _, f := range files {
			f.Close()
		}
	}
	for i, kind := range kinds {
		d, ok := md.Find(kind.name)
		if !ok {
			closeAll()
			return s, nil, fmt.Errorf("there is no %s", kind.name)
		}
		f, err := os.Open(filepath.Join(dir, filepath.FromSlash(d.Location)))
		if err != nil {
			closeAll()
			return s, nil, err
		}
		files, s[i] = append(files, f), f
	}
	return s, closeAll, nil
}

// AddBlock writes the packages of a block again, as metadata with the same Options
// had them. What is read from the sources is verified to be what was written,
// in the end: Close fails with blocks.ErrChanged if it is not.
func (w *Writer) AddBlock(b Block, from Sources) error {
	if w.run.Packages > 0 {
		return fmt.Errorf("writing metadata: a block of packages cannot begin at %s, within another one", b.First)
	}
	if !b.Complete && w.left != b.Packages {
		return fmt.Errorf("writing metadata: the block that ends at %s can only be the last one", b.Last)
	}
	if err := w.admit(b.First, b.Last, b.Packages, b.Built); err != nil {
		return err
	}
	for i, s := range w.streams {
		s.out.Copy(from[i], b.parts[i])
	}
	w.blocks = append(w.blocks, b)
	return nil
}

// Blocks are the blocks of what was written, after Close.
func (w *Writer) Blocks() []Block { return w.blocks }

// Parts tell where the block lies in primary, filelists and other.
func (b Block) Parts() []blocks.Span { return b.parts[:] }

// WithParts is the block at these places.
func (b Block) WithParts(parts []blocks.Span) Block {
	copy(b.parts[:], parts)
	return b
}
