package create

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/ohpc-build/ohpc-build/repo/rpmmd"
	"github.com/ohpc-build/ohpc-build/repo/rpmmd/blocks"
)

// index is what a run knew of the packages, and where in the data files they lie.
// It is believed as far as the state folder is: digests of packages are not
// computed again, but what is copied from old data files is verified.
type index struct {
	packages []known // in the order of their locations
	blocks   map[string]*oldBlock
	// describes says that it is of the metadata that are there.
	describes bool
}

// known is what is known of a package that was read.
type known struct {
	location string
	stat     stat
	id       string   // digest of the file
	nevra    [16]byte // digest of name, epoch, version, release and architecture
	built    time.Time
	signed   bool
}

// oldBlock is a block of the old metadata, found by its first location.
type oldBlock struct {
	rpmmd.Block
	packages []known
}

func (x *index) find(location string) *known {
	i, ok := slices.BinarySearchFunc(x.packages, location, func(k known, l string) int { return cmp.Compare(k.location, l) })
	if !ok {
		return nil
	}
	return &x.packages[i]
}

func (x *index) blockAt(location string) *oldBlock { return x.blocks[location] }

// indexFormat changes with the file's format.
const indexFormat = "ohpc-build repodata index 1\n"

func (c *creation) checksumType() string { return cmp.Or(c.Checksum, "sha256") }

// recipe is a digest of all options that blocks depend on.
func (c *creation) recipe() [sha256.Size]byte {
	m := c.Metadata
	return sha256.Sum256(fmt.Appendf(nil, "%s %q %q %d %q", rpmmd.FragmentFormat, c.checksumType(), cmp.Or(m.Compression, rpmmd.Gzip), m.Changes, c.Place.Base))
}

// loadIndex never fails: without an index, everything is read.
func (c *creation) loadIndex() *index {
	none := &index{}
	if !c.Update || c.Index == "" {
		return none
	}
	b, err := os.ReadFile(c.Index)
	if err != nil {
		return none
	}
	x, header, err := parseIndex(b)
	if err != nil || header.checksum != c.checksumType() {
		return none
	}
	repomd, err := os.ReadFile(filepath.Join(c.Output, rpmmd.RepomdFile))
	if x.describes = err == nil && header.repomd == sha256.Sum256(repomd) && c.old != nil; !x.describes || header.recipe != c.recipe() {
		x.blocks = nil
	}
	return x
}

func (c *creation) saveIndex(w *written, repomd []byte, begun time.Time) error {
	if c.Index == "" {
		return nil
	}
	for i := range w.packages {
		// It could be written again without its time changing, on file systems
		// with coarse times.
		if s := &w.packages[i].stat; s.mtime >= begun.Add(-racy).UnixNano() {
			s.mtime = -1
		}
	}
	b := appendIndex(indexHeader{checksum: c.checksumType(), recipe: c.recipe(), repomd: sha256.Sum256(repomd)}, w)
	if err := os.MkdirAll(filepath.Dir(c.Index), 0o755); err != nil {
		return fmt.Errorf("keeping the index of the metadata: %w", err)
	}
	if old, err := os.ReadFile(c.Index); err == nil && bytes.Equal(old, b) {
		return nil
	}
	// The lock on the metadata is one on the index too.
	fresh := c.Index + ".new"
	if err := os.WriteFile(fresh, b, 0o644); err != nil {
		return fmt.Errorf("keeping the index of the metadata: %w", err)
	}
	if err := os.Rename(fresh, c.Index); err != nil {
		return fmt.Errorf("keeping the index of the metadata: %w", err)
	}
	return nil
}

// racy is how long a file's time may stay the same while it is written.
const racy = 10 * time.Millisecond

type indexHeader struct {
	checksum       string
	recipe, repomd [sha256.Size]byte
}

func appendIndex(h indexHeader, w *written) []byte {
	b := append(make([]byte, 0, 200*len(w.packages)+1000), indexFormat...)
	text := func(s string) { b = append(binary.AppendUvarint(b, uint64(len(s))), s...) }
	number := func(n int64) { b = binary.AppendVarint(b, n) }
	text(h.checksum)
	b = append(append(b, h.recipe[:]...), h.repomd[:]...)
	number(int64(len(w.packages)))
	for i := range w.packages {
		k := &w.packages[i]
		text(k.location)
		number(k.stat.size)
		number(k.stat.mtime)
		number(int64(k.stat.inode))
		text(k.id)
		b = append(b, k.nevra[:]...)
		number(k.built.Unix())
		b = append(b, flag(k.signed))
	}
	number(int64(len(w.blocks)))
	for _, bl := range w.blocks {
		number(int64(bl.Packages))
		b = append(b, flag(bl.Complete))
		number(bl.Built.Unix())
		for _, s := range bl.Parts() {
			number(s.Offset)
			number(s.Size)
			number(s.OpenSize)
			b = append(b, s.Sum[:]...)
		}
	}
	sum := sha256.Sum256(b)
	return append(b, sum[:]...)
}

func flag(b bool) byte {
	if b {
		return 1
	}
	return 0
}

var errIndex = errors.New("the index of the metadata is damaged")

func parseIndex(b []byte) (*index, indexHeader, error) {
	var h indexHeader
	end := len(b) - sha256.Size
	if end < 0 || !bytes.HasPrefix(b, []byte(indexFormat)) || sha256.Sum256(b[:end]) != [sha256.Size]byte(b[end:]) {
		return nil, h, errIndex
	}
	d := &decoder{b: b[len(indexFormat):end]}
	h.checksum = d.text()
	copy(h.recipe[:], d.bytes(sha256.Size))
	copy(h.repomd[:], d.bytes(sha256.Size))
	x := &index{blocks: map[string]*oldBlock{}}
	x.packages = make([]known, d.count())
	for i := range x.packages {
		k := &x.packages[i]
		k.location = d.text()
		k.stat = stat{size: d.number(), mtime: d.number(), inode: uint64(d.number())}
		k.id = d.text()
		copy(k.nevra[:], d.bytes(len(k.nevra)))
		k.built = time.Unix(d.number(), 0).UTC()
		k.signed = d.flag()
		if i > 0 && k.location <= x.packages[i-1].location {
			d.failed = true
		}
	}
	rest := x.packages
	for range d.count() {
		var bl oldBlock
		bl.Packages = int(d.number())
		bl.Complete = d.flag()
		bl.Built = time.Unix(d.number(), 0).UTC()
		parts := make([]blocks.Span, len(bl.Parts()))
		for i := range parts {
			parts[i] = blocks.Span{Offset: d.number(), Size: d.number(), OpenSize: d.number()}
			copy(parts[i].Sum[:], d.bytes(sha256.Size))
		}
		if d.failed || bl.Packages < 1 || bl.Packages > len(rest) {
			return nil, h, errIndex
		}
		bl.packages, rest = rest[:bl.Packages], rest[bl.Packages:]
		bl.First, bl.Last = bl.packages[0].location, bl.packages[bl.Packages-1].location
		bl.Block = bl.WithParts(parts)
		x.blocks[bl.First] = &bl
	}
	if d.failed || len(d.b) > 0 || len(rest) > 0 {
		return nil, h, errIndex
	}
	return x, h, nil
}

// decoder reads an index. After what cannot be, it returns zeros.
type decoder struct {
	b      []byte
	failed bool
}

func (d *decoder) number() int64 {
	n, length := binary.Varint(d.b)
	if length <= 0 {
		d.failed = true
		return 0
	}
	d.b = d.b[length:]
	return n
}

// count is a number of things of at least one byte each.
func (d *decoder) count() int {
	n := d.number()
	if n < 0 || n > int64(len(d.b)) {
		d.failed = true
		return 0
	}
	return int(n)
}

func (d *decoder) bytes(n int) []byte {
	if n > len(d.b) {
		d.failed = true
		return nil
	}
	b := d.b[:n]
	d.b = d.b[n:]
	return b
}

func (d *decoder) text() string {
	n, length := binary.Uvarint(d.b)
	if length <= 0 || n > uint64(len(d.b)-length) {
		d.failed = true
		return ""
	}
	d.b = d.b[length:]
	return string(d.bytes(int(n)))
}

func (d *decoder) flag() bool {
	b := d.bytes(1)
	return len(b) == 1 && b[0] != 0
}
