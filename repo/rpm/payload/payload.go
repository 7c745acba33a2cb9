package payload

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/ohpc-build/ohpc-build/repo/rpm"
)

// Member is one entry of a package's archive.
type Member struct {
	Path   string // as the header lists it
	Size   uint64 // bytes; 0 for all but the last name of a file with several
	Fields Fields // zero in packages with files of 4 GiB and more
}

// Regular says whether it is a plain file; an entry that says nothing is one.
func (m Member) Regular() bool { return m.Fields.Mode == 0 || m.Fields.Mode&0o170000 == 0o100000 }

// Fields are those of an entry that say something of the file.
type Fields struct{ Inode, Mode, UID, GID, Links, ModTime, Major, Minor, DeviceMajor, DeviceMinor uint32 }

// String is all of them in a line.
func (f Fields) String() string {
	return fmt.Sprintf("inode %d, mode %06o, owner %d:%d, %d links, time %d, device %d:%d %d:%d",
		f.Inode, f.Mode, f.UID, f.GID, f.Links, f.ModTime, f.Major, f.Minor, f.DeviceMajor, f.DeviceMinor)
}

// Walk reads the archive of the package p in file, in its order. Visit need not read
// a member's content. Every member is listed in the header, none comes twice, and
// none is larger than the header says.
func Walk(ctx context.Context, p *rpm.Package, file io.ReaderAt, visit func(m Member, content io.Reader) error) error {
	a := archive{listed: map[string]uint64{}}
	for f := range p.Files() {
		a.listed[f.Path()] = f.Size
		a.order = append(a.order, f.Path())
	}
	body := io.NewSectionReader(file, p.HeaderEnd, p.FileSize-p.HeaderEnd)
	plain, err := Decompress(p.PayloadCompressor, contextReader{ctx, body})
	if err != nil {
		return err
	}
	defer plain.Close()
	return a.walk(plain, visit)
}

// archive reads a cpio archive as rpm writes it: the format newc, or one that
// only has the number of the file in the header, for files of 4 GiB and more.
type archive struct {
	listed map[string]uint64 // sizes
	order  []string
}

const (
	trailer = "TRAILER!!!"
	maxPath = 4096
)

func (a *archive) walk(r io.Reader, visit func(Member, io.Reader) error) error {
	seen := map[string]bool{}
	for {
		m, err := a.next(r)
		if err != nil {
			return err
		}
		if m.Path == trailer {
			return nil
		}
		listed, ok := a.listed[m.Path]
		switch {
		case !ok:
			return fmt.Errorf("its archive has %.100q, which its header does not list", m.Path)
		case seen[m.Path]:
			return fmt.Errorf("its archive has %.100q twice", m.Path)
		case m.Size > listed && m.Size > maxPath:
			return fmt.Errorf("its archive has %d bytes of %.100q, its header %d", m.Size, m.Path, listed)
		}
		seen[m.Path] = true
		content := &io.LimitedReader{R: r, N: int64(m.Size)}
		if err := visit(m, content); err != nil {
			return err
		}
		if _, err := io.CopyN(io.Discard, r, content.N+int64(-m.Size&3)); err != nil {
			return fmt.Errorf("its archive ends early: %w", err)
		}
	}
}

// next reads an entry's header.
func (a *archive) next(r io.Reader) (Member, error) {
	var m Member
	magic := make([]byte, 6)
	if _, err := io.ReadFull(r, magic); err != nil {
		return m, fmt.Errorf("its archive ends early: %w", err)
	}
	switch string(magic) {
	case "070701":
		return a.plain(r)
	case "07070X":
		return a.stripped(r)
	}
	return m, fmt.Errorf("its archive has an entry of an unknown kind (%q)", magic)
}

func (a *archive) plain(r io.Reader) (Member, error) {
	var m Member
	var n [13]uint32
	if err := hexNumbers(r, n[:]); err != nil {
		return m, err
	}
	m.Fields = Fields{n[0], n[1], n[2], n[3], n[4], n[5], n[7], n[8], n[9], n[10]}
	m.Size = uint64(n[6])
	if n[11] == 0 || n[11] > maxPath {
		return m, fmt.Errorf("its archive has a name of %d bytes", n[11])
	}
	name := make([]byte, padded(110+int(n[11]))-110)
	if _, err := io.ReadFull(r, name); err != nil {
		return m, fmt.Errorf("its archive ends early: %w", err)
	}
	path, _, _ := strings.Cut(string(name[:n[11]]), "\x00")
	m.Path = a.path(path)
	return m, nil
}

// path is an archive's name as the header has it.
func (a *archive) path(name string) string {
	if rest, ok := strings.CutPrefix(name, "./"); ok {
		if _, listed := a.listed["/"+rest]; listed {
			return "/" + rest
		}
	}
	return name
}

func (a *archive) stripped(r io.Reader) (Member, error) {
	var m Member
	var n [1]uint32
	if err := hexNumbers(r, n[:]); err != nil {
		return m, err
	}
	if _, err := io.CopyN(io.Discard, r, 2); err != nil { // 14 bytes, padded
		return m, fmt.Errorf("its archive ends early: %w", err)
	}
	if int(n[0]) >= len(a.order) {
		return m, fmt.Errorf("its archive has a file %d of %d", n[0], len(a.order))
	}
	m.Path = a.order[n[0]]
	m.Size = a.listed[m.Path]
	return m, nil
}

func hexNumbers(r io.Reader, into []uint32) error {
	b := make([]byte, 8*len(into))
	if _, err := io.ReadFull(r, b); err != nil {
		return fmt.Errorf("its archive ends early: %w", err)
	}
	for i := range into {
		for _, digit := range b[8*i : 8*i+8] {
			value := strings.IndexByte("0123456789abcdef", digit|0x20)
			if digit >= '0' && digit <= '9' {
				value = int(digit - '0')
			}
			if value < 0 {
				return errors.New("its archive has an entry whose header is no number")
			}
			into[i] = into[i]<<4 | uint32(value)
		}
	}
	return nil
}

func padded(n int) int { return (n + 3) &^ 3 }
