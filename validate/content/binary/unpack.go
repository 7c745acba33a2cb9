package binary

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/ohpc-build/ohpc-build/repo/rpm/payload"
)

// Inner is something inside a file: an entry of a cpio archive, or what is compressed.
type Inner struct {
	Name string // in the archive, without a leading /; "" for what is only compressed
	Mode uint32 // as in stat(2); 0 for what is only compressed
	Head []byte // its first bytes, at most [HeadSize], unpacked; until the next call
}

// ErrPacked says that what a file holds cannot be unpacked, or not with what it is
// allowed to cost.
var ErrPacked = errors.New("it cannot be unpacked")

const (
	maxDepth   = 4       // a compressed module in a compressed initramfs is at 3
	maxEntries = 1 << 20 // of one file
	maxName    = 4096    // Linux: PATH_MAX

	cpioHeader = 110
	trailer    = "TRAILER!!!"
)

// Packed says whether a file begins like a cpio archive, or is compressed in a way in
// which kernels, modules and initramfs are.
func Packed(head []byte) bool { return isCpio(head) || compressor(head) != "" }

// isCpio knows the formats newc and crc, which kernels read.
func isCpio(head []byte) bool {
	return bytes.HasPrefix(head, []byte("070701")) || bytes.HasPrefix(head, []byte("070702"))
}

// compressor is rpm's name for how something is compressed.
func compressor(head []byte) string {
	for name, magic := range map[string]string{
		"gzip": "\x1f\x8b\x08", "xz": "\xfd7zXZ\x00", "zstd": "\x28\xb5\x2f\xfd", "bzip2": "BZh",
	} {
		if bytes.HasPrefix(head, []byte(magic)) {
			return name
		}
	}
	return ""
}

// Unpack looks into a file and visits what it holds, entries of all kinds: cpio archives
// one behind the other as kernels take them for an initramfs, an early one with
// microcode first, each of them compressed or not (Linux: driver-api/early-userspace/
// buffer-format.rst). Entries that are compressed are visited unpacked. room is how many
// unpacked bytes may be read; it is counted down. What cannot be unpacked is an
// ErrPacked, and what was found before it has been visited.
func Unpack(ctx context.Context, r io.Reader, room *int64, visit func(Inner) error) error {
	source := &source{r: r}
	u := &unpacker{ctx: ctx, room: room, visit: visit}
	err := u.stream(u.buffer(source, 0), Inner{}, 0)
	if err == nil {
		err = u.broken
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if source.err != nil { // it is not the file's fault
		return source.err
	}
	return err
}

// source remembers why a file could not be read on.
type source struct {
	r   io.Reader
	err error
}

func (s *source) Read(b []byte) (int, error) {
	n, err := s.r.Read(b)
	if err != nil && !errors.Is(err, io.EOF) {
		s.err = err
	}
	return n, err
}

type unpacker struct {
	ctx     context.Context
	room    *int64
	visit   func(Inner) error
	entries int
	broken  error           // the first entry that could not be unpacked
	buffers []*bufio.Reader // by depth
}

// buffer reads through the buffer of a depth.
func (u *unpacker) buffer(r io.Reader, depth int) *bufio.Reader {
	for len(u.buffers) <= depth {
		u.buffers = append(u.buffers, bufio.NewReaderSize(nil, HeadSize))
	}
	u.buffers[depth].Reset(r)
	return u.buffers[depth]
}

// stream unpacks what comes, as far as it is packed.
func (u *unpacker) stream(r *bufio.Reader, in Inner, depth int) error {
	head, err := r.Peek(HeadSize)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	if err != nil && len(head) == 0 {
		return packed(err)
	}
	how := compressor(head)
	switch {
	case depth < maxDepth && isCpio(head):
		return u.archives(r, depth)
	case depth < maxDepth && how != "":
		plain, derr := payload.Decompress(how, r)
		if derr != nil {
			return packed(derr)
		}
		defer plain.Close()
		return u.stream(u.buffer(&bounded{u.ctx, plain, u.room}, depth+1), in, depth+1)
	}
	in.Head = head
	if verr := u.visit(in); verr != nil || err == nil {
		return verr
	}
	return packed(err)
}

func packed(err error) error {
	if errors.Is(err, ErrPacked) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrPacked, err)
}

// bounded counts unpacked bytes. A few packed ones can be very many.
type bounded struct {
	ctx  context.Context
	r    io.Reader
	room *int64
}

func (b *bounded) Read(p []byte) (int, error) {
	if err := b.ctx.Err(); err != nil {
		return 0, err
	}
	if *b.room <= 0 {
		return 0, fmt.Errorf("%w: it holds more than is looked into", ErrPacked)
	}
	n, err := b.r.Read(p[:min(int64(len(p)), *b.room)])
	*b.room -= int64(n)
	return n, err
}

// archives reads one archive after the other. Between them, and behind the last, there
// may be zeros.
func (u *unpacker) archives(r *bufio.Reader, depth int) error {
	for {
		if err := u.archive(r, depth); err != nil {
			return err
		}
		for {
			b, err := r.ReadByte()
			if errors.Is(err, io.EOF) {
				return nil
			}
			if err != nil {
				return packed(err)
			}
			if b != 0 {
				break
			}
		}
		_ = r.UnreadByte() // the one that was read
		switch head, _ := r.Peek(len(trailer)); {
		case isCpio(head):
		case compressor(head) != "":
			return u.stream(r, Inner{}, depth)
		default:
			return fmt.Errorf("%w: what follows the end of its archive is none", ErrPacked)
		}
	}
}

// archive reads one archive.
func (u *unpacker) archive(r *bufio.Reader, depth int) error {
	header := make([]byte, cpioHeader)
	for {
		if _, err := io.ReadFull(r, header); err != nil {
			return packed(err)
		}
		if !isCpio(header) {
			return fmt.Errorf("%w: an entry of its archive has no header", ErrPacked)
		}
		var fields [13]uint32
		for i := range fields {
			var ok bool
			if fields[i], ok = hexNumber(header[6+8*i : 14+8*i]); !ok {
				return fmt.Errorf("%w: the header of an entry of its archive is no number", ErrPacked)
			}
		}
		mode, size, length := fields[1], int64(fields[6]), int(fields[11])
		if length == 0 || length > maxName {
			return fmt.Errorf("%w: an entry of its archive has a name of %d bytes", ErrPacked, length)
		}
		name := make([]byte, padded(cpioHeader+length)-cpioHeader)
		if _, err := io.ReadFull(r, name); err != nil {
			return packed(err)
		}
		path, _, _ := strings.Cut(string(name[:length]), "\x00")
		if path == trailer {
			return nil
		}
		if u.entries++; u.entries > maxEntries {
			return fmt.Errorf("%w: it has more than %d entries", ErrPacked, maxEntries)
		}
		content := &io.LimitedReader{R: r, N: size}
		in := Inner{Name: strings.TrimLeft(strings.TrimPrefix(path, "."), "/"), Mode: mode}
		err := u.stream(u.buffer(content, depth+1), in, depth+1)
		if err != nil && !errors.Is(err, ErrPacked) {
			return err
		}
		if u.broken == nil {
			u.broken = err // the entries behind it may be whole
		}
		if _, err := io.CopyN(io.Discard, r, content.N+(-size&3)); err != nil {
			return packed(err)
		}
	}
}

func hexNumber(digits []byte) (value uint32, ok bool) {
	for _, digit := range digits {
		at := strings.IndexByte("0123456789abcdef", digit|0x20)
		if at < 0 || digit < '0' {
			return 0, false
		}
		value = value<<4 | uint32(at)
	}
	return value, true
}

func padded(n int) int { return (n + 3) &^ 3 }
