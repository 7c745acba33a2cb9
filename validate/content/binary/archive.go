package binary

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

const (
	arMagic      = "!<arch>\n"
	arHeader     = 60
	maxArMembers = 1 << 20
	maxArNames   = 16 << 20 // bytes of long names
)

// IsArchive says whether a file begins like a static library.
func IsArchive(head []byte) bool {
	return len(head) >= len(arMagic) && string(head[:len(arMagic)]) == arMagic
}

// ErrArchive says that a static library does not hold together.
var ErrArchive = errors.New("it is no static library that can be read")

// Members reads a static library (ar(5), as GNU ar writes it) and calls fn with the
// name and the first bytes, at most 64, of each of its members.
func Members(r io.Reader, fn func(name string, head []byte) error) error {
	if _, err := io.CopyN(io.Discard, r, int64(len(arMagic))); err != nil {
		return fmt.Errorf("%w: %w", ErrArchive, err)
	}
	var long string
	header := make([]byte, arHeader)
	for range maxArMembers {
		if _, err := io.ReadFull(r, header); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("%w: %w", ErrArchive, err)
		}
		size, err := strconv.ParseInt(strings.TrimSpace(string(header[48:58])), 10, 64)
		if err != nil || size < 0 || string(header[58:]) != "`\n" {
			return fmt.Errorf("%w: a member's header is malformed", ErrArchive)
		}
		name := strings.TrimRight(string(header[:16]), " ")
		want := min(size, 64)
		if name == "//" {
			want = min(size, maxArNames)
		}
		head, err := io.ReadAll(io.LimitReader(r, want))
		if err != nil {
			return fmt.Errorf("%w: %w", ErrArchive, err)
		}
		if name == "//" {
			long = string(head)
		} else if err := fn(memberName(name, long), head); err != nil {
			return err
		}
		rest := size - int64(len(head)) + size&1
		if n, err := io.CopyN(io.Discard, r, rest); err != nil && n < rest-size&1 {
			return fmt.Errorf("%w: %w", ErrArchive, err)
		}
	}
	return fmt.Errorf("%w: it has more than %d members", ErrArchive, maxArMembers)
}

// memberName is a member's name, which is elsewhere when it is long.
func memberName(name, long string) string {
	number, ok := strings.CutPrefix(name, "/")
	if !ok {
		return strings.TrimSuffix(name, "/")
	}
	at, err := strconv.Atoi(number)
	if err != nil || at < 0 || at >= len(long) {
		return name
	}
	rest, _, _ := strings.Cut(long[at:], "\n")
	return strings.TrimSuffix(rest, "/")
}
