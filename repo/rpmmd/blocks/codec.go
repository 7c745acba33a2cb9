package blocks

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// Format is a compression that blocks can be written in.
type Format string

// The formats, by the suffixes of their files.
const (
	Gzip Format = "gz"
	Zstd Format = "zst"
)

// Pool holds the compressors of a format, and so limits how many blocks are
// being compressed.
type Pool struct {
	idle chan *codec
}

// NewPool makes a pool for n blocks at a time.
func NewPool(f Format, n int) (*Pool, error) {
	p := &Pool{idle: make(chan *codec, max(n, 1))}
	for range cap(p.idle) {
		c, err := newCodec(f)
		if err != nil {
			return nil, err
		}
		p.idle <- c
	}
	return p, nil
}

// codec compresses one block at a time. Of the two formats' fields only one's are set.
type codec struct {
	gz       *gzip.Writer
	gunzip   *gzip.Reader
	enc      *zstd.Encoder
	dec      *zstd.Decoder
	expected int // bytes of the last compressed block
}

// window is how far back zstd looks; blocks are not much larger.
const window = 1 << 20

func newCodec(f Format) (*codec, error) {
	c := &codec{}
	var err error
	switch f {
	case Gzip:
		// gzip's own level: the files are a little smaller than zlib's, in half the time.
		c.gz, err = gzip.NewWriterLevel(io.Discard, 6)
	case Zstd:
		if c.enc, err = zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(window), zstd.WithLowerEncoderMem(true)); err == nil {
			c.dec, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxMemory(maxBlock))
		}
	default:
		err = fmt.Errorf("unknown compression %q: expected %q or %q", f, Gzip, Zstd)
	}
	return c, err
}

func (c *codec) compress(raw []byte) []byte {
	out := make([]byte, 0, c.expected+c.expected/4)
	if c.enc != nil {
		out = c.enc.EncodeAll(raw, out)
	} else {
		buf := bytes.NewBuffer(out)
		c.gz.Reset(buf) // its header has neither name nor time
		_, _ = c.gz.Write(raw)
		_ = c.gz.Close() // a buffer takes everything
		out = buf.Bytes()
	}
	c.expected = len(out)
	return out
}

// decompress appends to b no more than size bytes.
func (c *codec) decompress(b, compressed []byte, size int64) ([]byte, error) {
	if c.dec != nil {
		return c.dec.DecodeAll(compressed, b)
	}
	var err error
	if c.gunzip == nil {
		c.gunzip, err = gzip.NewReader(bytes.NewReader(compressed))
	} else {
		err = c.gunzip.Reset(bytes.NewReader(compressed))
	}
	if err != nil {
		return nil, err
	}
	if int64(cap(b)) < size {
		b = make([]byte, size)
	}
	b = b[:size]
	if _, err := io.ReadFull(c.gunzip, b); err != nil {
		return nil, err
	}
	if n, err := c.gunzip.Read(make([]byte, 1)); n > 0 || !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("it has more than %d bytes", size)
	}
	return b, nil
}
