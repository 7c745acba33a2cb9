package rpm

import (
	"bytes"
	"context"
	"crypto"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"

	"github.com/ohpc-build/ohpc-build/repo/rpm/sha256x2"
)

// Reader reads package files from their beginning to their end and one after the other
// in the same memory; each byte once, where a package promises a digest of its payload
// and its headers fit into the buffer.
type Reader struct {
	start []byte // of the file; the package's texts lie here
	more  []byte // a part of the rest, nil as long as no file had any
	file  hash.Hash
	part  *sha256x2.Digest // of a header, and then of a payload
	pkg   Package
}

// readBuffer is, in bytes, more than most packages' headers, or all of a small
// package.
const readBuffer = 128 << 10

// NewReader makes a Reader that has files' digests made by newHash; nil stands for
// SHA-256, which is the quickest.
func NewReader(newHash func() hash.Hash) *Reader {
	r := &Reader{start: make([]byte, readBuffer), part: sha256x2.New()}
	if newHash == nil {
		r.file = sha256x2.New()
	} else {
		r.file = newHash()
	}
	return r
}

// Read reads the size bytes long package in f, and returns the digest of the whole
// file. What the headers promise of the header, the payload and their sizes is
// verified: strong digests where there are some, otherwise the others; that a
// package promises nothing is no error.
//
// The package is good until the next Read, and so are the texts that it consists of.
func (r *Reader) Read(ctx context.Context, f io.ReaderAt, size int64) (*Package, []byte, error) {
	b := r.start[:max(0, min(size, int64(len(r.start))))]
	if err := readAt(f, b, 0); err != nil {
		return nil, nil, err
	}
	p := &r.pkg
	if err := p.read(&window{r: f, size: size, first: b, lent: true}); err != nil {
		return nil, nil, err
	}
	r.file.Reset()
	at, err := r.header(p, b)
	if err != nil {
		return nil, nil, err
	}
	algorithm, want, err := p.PayloadDigest()
	if err != nil {
		return nil, nil, err
	}
	payload := r.payload(algorithm)
	if payload == nil {
		if err := p.VerifyDigests(ctx, f); err != nil && !errors.Is(err, ErrNoDigest) {
			return nil, nil, err
		}
	}
	for b = b[at:]; ; {
		ofPayload := b[min(max(p.HeaderEnd-at, 0), int64(len(b))):]
		writeBoth(r.file, b, payload, ofPayload)
		if at += int64(len(b)); at >= size {
			break
		}
		if err := ctx.Err(); err != nil {
			return nil, nil, err
		}
		if r.more == nil {
			r.more = make([]byte, readBuffer)
		}
		b = r.more[:min(size-at, int64(len(r.more)))]
		if err := readAt(f, b, at); err != nil {
			return nil, nil, err
		}
	}
	if payload != nil {
		if got := payload.Sum(nil); !bytes.Equal(got, want) {
			return nil, nil, &DigestError{What: "the payload digest", Want: hex.EncodeToString(want), Got: hex.EncodeToString(got)}
		}
	}
	return p, r.file.Sum(nil), nil
}

// header verifies the main header, and returns how many of the file's first bytes,
// which start has, are digested by then.
func (r *Reader) header(p *Package, start []byte) (int64, error) {
	if !p.signature.Has(SigSHA256) || p.HeaderEnd > int64(len(start)) {
		return 0, p.verifyHeader(false, nil)
	}
	r.part.Reset()
	writeBoth(r.file, start[:p.HeaderEnd], r.part, start[p.HeaderStart:p.HeaderEnd])
	return p.HeaderEnd, p.verifyHeader(false, r.part.Sum(nil))
}

// payload is what is to digest a payload, nil when its digest is of no algorithm.
func (r *Reader) payload(algorithm crypto.Hash) hash.Hash {
	switch algorithm {
	case 0:
		return nil
	case crypto.SHA256:
		r.part.Reset()
		return r.part
	}
	return algorithm.New()
}

// writeBoth writes a to one and b to two, which may be nil, side by side if that
// can be.
func writeBoth(one hash.Hash, a []byte, two hash.Hash, b []byte) {
	if first, ok := one.(*sha256x2.Digest); ok {
		if second, ok := two.(*sha256x2.Digest); ok {
			sha256x2.Write(first, a, second, b)
			return
		}
	}
	_, _ = one.Write(a) // a hash never fails
	if two != nil {
		_, _ = two.Write(b)
	}
}

// readAt fills b, which the file is long enough for.
func readAt(f io.ReaderAt, b []byte, off int64) error {
	if n, err := f.ReadAt(b, off); n < len(b) {
		if err == nil || errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return fmt.Errorf("reading it: %w", err)
	}
	return nil
}
