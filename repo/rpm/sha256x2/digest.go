package sha256x2

import (
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"slices"
)

// Digest is a SHA-256 digest on its way. It is a hash.Hash; Write of this package
// is what makes it worth having.
type Digest struct {
	state   state
	partial [sha256.BlockSize]byte // the beginning of the next block
	length  uint64                 // of all that was written, bytes

	portable hash.Hash // in place of all that, where the processor lacks something
}

// state is what the rounds work on, in the order in which SHA256RNDS2 takes it: the
// words f, e, b, a, h, g, d and c of FIPS 180-4.
type state [8]uint32

// initial is the state before the first block (FIPS 180-4, section 5.3.3).
var initial = state{
	0x9b05688c, 0x510e527f, 0xbb67ae85, 0x6a09e667,
	0x5be0cd19, 0x1f83d9ab, 0xa54ff53a, 0x3c6ef372,
}

// inOrder are the places in a state of the words a to h.
var inOrder = [8]int{3, 2, 7, 6, 1, 0, 5, 4}

// New begins a digest.
func New() *Digest { return newDigest(accelerated) }

func newDigest(accelerated bool) *Digest {
	if !accelerated {
		return &Digest{portable: sha256.New()}
	}
	return &Digest{state: initial}
}

// Reset begins anew.
func (d *Digest) Reset() {
	d.state, d.length = initial, 0
	if d.portable != nil {
		d.portable.Reset()
	}
}

// Size is the number of bytes of a digest.
func (d *Digest) Size() int { return sha256.Size }

// BlockSize is how many bytes are digested at a time.
func (d *Digest) BlockSize() int { return sha256.BlockSize }

// Write digests p, in about the time that crypto/sha256 takes for it.
func (d *Digest) Write(p []byte) (int, error) {
	Write(d, p, nil, nil)
	return len(p), nil
}

// Sum appends the digest of what was written to b. More may be written after.
func (d *Digest) Sum(b []byte) []byte {
	if d.portable != nil {
		return d.portable.Sum(b)
	}
	// The end of the message: a bit, zeros up to eight bytes before the end of
	// a block, and the length in bits (FIPS 180-4, section 5.1.1).
	var end [2 * sha256.BlockSize]byte
	n := copy(end[:], d.partial[:d.buffered()])
	end[n] = 0x80
	blocksLeft := 1 + (n+8)/sha256.BlockSize
	binary.BigEndian.PutUint64(end[blocksLeft*sha256.BlockSize-8:], d.length*8)
	last := d.state
	last.write(end[:blocksLeft*sha256.BlockSize])
	b = slices.Grow(b, sha256.Size)
	for _, i := range inOrder {
		b = binary.BigEndian.AppendUint32(b, last[i])
	}
	return b
}

// Write writes a to one and b to two, in little more than the time that the longer of
// them takes. The digests must be different ones; that of an empty slice may be nil.
func Write(one *Digest, a []byte, two *Digest, b []byte) {
	if one == nil || len(a) == 0 {
		one, a, two, b = two, b, one, a
	}
	switch {
	case one == nil || len(a) == 0:
		return
	case len(b) == 0:
		two = nil
	}
	if one.portable != nil || two != nil && two.portable != nil {
		one.writeAlone(a)
		if two != nil {
			two.writeAlone(b)
		}
		return
	}
	a = one.complete(a)
	if two == nil {
		one.state.write(a[:whole(a)])
		one.keep(a)
		return
	}
	b = two.complete(b)
	both := min(whole(a), whole(b))
	if both > 0 {
		blocks(&one.state, &two.state, &a[0], &b[0], both/sha256.BlockSize)
	}
	one.state.write(a[both:whole(a)])
	two.state.write(b[both:whole(b)])
	one.keep(a)
	two.keep(b)
}

func (d *Digest) writeAlone(p []byte) {
	if d.portable != nil {
		_, _ = d.portable.Write(p) // a hash never fails
		return
	}
	Write(d, p, nil, nil)
}

// buffered is how many bytes of the next block there are.
func (d *Digest) buffered() int { return int(d.length % sha256.BlockSize) }

// complete takes as much of p as the block that was begun lacks, counts all of it,
// and returns the rest.
func (d *Digest) complete(p []byte) []byte {
	begun := d.buffered()
	d.length += uint64(len(p))
	if begun == 0 {
		return p
	}
	n := copy(d.partial[begun:], p)
	if begun+n == sha256.BlockSize {
		d.state.write(d.partial[:])
	}
	return p[n:]
}

// keep keeps what is left of p behind its last whole block.
func (d *Digest) keep(p []byte) {
	if rest := p[whole(p):]; len(rest) > 0 {
		copy(d.partial[:], rest)
	}
}

// write digests whole blocks of one message; the other one is for nobody.
func (s *state) write(p []byte) {
	if len(p) > 0 {
		var nobody state
		blocks(s, &nobody, &p[0], &p[0], len(p)/sha256.BlockSize)
	}
}

// whole is how many bytes of p are whole blocks.
func whole(p []byte) int { return len(p) - len(p)%sha256.BlockSize }
