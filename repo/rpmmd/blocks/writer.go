package blocks

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
)

// Span is one block in a compressed stream.
type Span struct {
	Offset   int64 // in the compressed stream
	Size     int64 // bytes compressed
	OpenSize int64 // bytes uncompressed
	Sum      [sha256.Size]byte
}

// Result is what a stream came to.
type Result struct {
	Open, Shut         []byte // digests of the stream, and of what it was compressed to
	OpenSize, ShutSize int64
	Spans              []Span // in order, one for each Add and Copy
}

// ErrChanged says that a block is not what it was when it was written.
var ErrChanged = errors.New("the block is not the one that was written")

// Writer compresses a stream, block by block. Close must be called.
type Writer struct {
	pool   *Pool
	queue  chan *block
	closed chan struct{} // when everything is written
	spare  chan []byte

	// Of the goroutine that writes, until closed.
	out        io.Writer
	open, shut hash.Hash
	result     Result
	err        error
}

// block is one block on its way. What produce makes is there when done is closed.
type block struct {
	raw, compressed []byte
	sum             [sha256.Size]byte
	err             error
	done            chan struct{}
}

// NewWriter begins a stream into out. The pool may be shared with other streams.
func NewWriter(out io.Writer, pool *Pool, newHash func() hash.Hash) *Writer {
	w := &Writer{
		pool: pool, out: out, open: newHash(), shut: newHash(),
		queue: make(chan *block, cap(pool.idle)), closed: make(chan struct{}), spare: make(chan []byte, cap(pool.idle)),
	}
	go w.write()
	return w
}

// Buffer returns an empty buffer for the next block, one that has been used
// where there is one.
func (w *Writer) Buffer() []byte {
	select {
	case b := <-w.spare:
		return b[:0]
	default:
		return make([]byte, 0, usualBlock)
	}
}

// usualBlock is, in bytes, what many blocks have: to grow up to that takes longer
// than to fill it.
const usualBlock = 256 << 10

// Add appends a block. The writer keeps raw.
func (w *Writer) Add(raw []byte) {
	w.enqueue(&block{raw: raw}, func(c *codec, b *block) error {
		b.compressed = c.compress(b.raw)
		b.sum = sha256.Sum256(b.compressed)
		return nil
	})
}

// Copy appends a block that was compressed before, and lies in r as the span
// says. That is verified: if it does not, Close returns ErrChanged.
func (w *Writer) Copy(r io.ReaderAt, s Span) {
	w.enqueue(&block{sum: s.Sum}, func(c *codec, b *block) error {
		if s.Size < 0 || s.Size > maxBlock || s.OpenSize < 0 || s.OpenSize > maxBlock {
			return fmt.Errorf("%w: it has %d bytes", ErrChanged, s.Size)
		}
		b.compressed = make([]byte, s.Size)
		if _, err := r.ReadAt(b.compressed, s.Offset); err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("%w: reading a block that was written before: %w", ErrChanged, err)
		}
		if sha256.Sum256(b.compressed) != s.Sum {
			return ErrChanged
		}
		raw, err := c.decompress(w.Buffer(), b.compressed, s.OpenSize)
		if err != nil || int64(len(raw)) != s.OpenSize {
			return errors.Join(ErrChanged, err)
		}
		b.raw = raw
		return nil
	})
}

// maxBlock bounds what is believed of a block that was written before.
const maxBlock = 1 << 30

func (w *Writer) enqueue(b *block, produce func(*codec, *block) error) {
	b.done = make(chan struct{})
	w.queue <- b
	c := <-w.pool.idle
	go func() {
		defer close(b.done)
		b.err = produce(c, b)
		w.pool.idle <- c
	}()
}

// write writes the blocks in their order.
func (w *Writer) write() {
	defer close(w.closed)
	for b := range w.queue {
		<-b.done
		if w.err == nil {
			w.err = b.err
		}
		if w.err != nil {
			continue
		}
		_, w.err = w.out.Write(b.compressed)
		w.open.Write(b.raw)
		w.shut.Write(b.compressed)
		r := &w.result
		r.Spans = append(r.Spans, Span{Offset: r.ShutSize, Size: int64(len(b.compressed)), OpenSize: int64(len(b.raw)), Sum: b.sum})
		r.OpenSize += int64(len(b.raw))
		r.ShutSize += int64(len(b.compressed))
		select {
		case w.spare <- b.raw:
		default:
		}
	}
}

// Close waits until all blocks are written.
func (w *Writer) Close() (Result, error) {
	close(w.queue)
	<-w.closed
	w.result.Open, w.result.Shut = w.open.Sum(nil), w.shut.Sum(nil)
	return w.result, w.err
}
