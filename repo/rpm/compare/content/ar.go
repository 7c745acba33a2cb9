package content

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/ohpc-build/ohpc-build/repo/rpm/compare/text"
)

const (
	arMagic      = "!<arch>\n"
	arHeader     = 60
	maxArMembers = 1 << 16
)

// arMember is one file of a static library (ar(5), as GNU ar writes it).
type arMember struct {
	name   string
	fields string // time, owner, group, mode
	data   piece
}

// archives compares two static libraries, member by member.
func archives(a, b piece, depth int) ([]Difference, error) {
	x, okX, err := arMembers(a)
	if err != nil {
		return nil, err
	}
	y, okY, err := arMembers(b)
	if err != nil || !okX || !okY {
		return nil, err
	}
	var found []Difference
	for i := range min(len(x), len(y)) {
		part := "member " + text.Clip(x[i].name, text.MaxValue)
		if x[i].name != y[i].name {
			return append(found, Difference{
				Part: fmt.Sprintf("the %d. member", i+1), A: text.Printable(text.Clip(x[i].name, text.MaxValue)), B: text.Printable(text.Clip(y[i].name, text.MaxValue)),
			}), nil
		}
		if x[i].fields != y[i].fields {
			found = append(found, Difference{Part: part + ", time, owner and mode", A: text.Printable(x[i].fields), B: text.Printable(y[i].fields)})
		}
		off, err := firstByte(x[i].data, y[i].data)
		if err != nil {
			return nil, err
		}
		if off < 0 {
			continue
		}
		more, err := contents(x[i].data, y[i].data, depth+1)
		if err != nil {
			return nil, err
		}
		for _, d := range more {
			d.Part = part + ", " + d.Part
			found = append(found, d)
		}
	}
	if len(x) != len(y) {
		found = append(found, Difference{Part: "number of members", A: strconv.Itoa(len(x)), B: strconv.Itoa(len(y))})
	}
	return found, nil
}

// arMembers reads the list of members. ok is false when it does not hold together.
func arMembers(c piece) (all []arMember, ok bool, err error) {
	var long string
	for off := int64(len(arMagic)); off < c.Size(); {
		h := make([]byte, arHeader)
		if _, err := c.ReadAt(h, off); errors.Is(err, io.EOF) {
			return nil, false, nil
		} else if err != nil {
			return nil, false, err
		}
		size, err := strconv.ParseInt(strings.TrimSpace(string(h[48:58])), 10, 64)
		if err != nil || string(h[58:]) != "`\n" || size < 0 || size > c.Size()-off-arHeader || len(all) == maxArMembers {
			return nil, false, nil
		}
		m := arMember{
			name: strings.TrimRight(string(h[:16]), " "), fields: strings.Join(strings.Fields(string(h[16:48])), " "),
			data: c.part(off+arHeader, size),
		}
		if m.name == "//" && size <= maxNames {
			b, err := m.data.head(size)
			if err != nil {
				return nil, false, err
			}
			long = string(b)
		}
		m.name = arName(m.name, long)
		all = append(all, m)
		off += arHeader + (size+1)&^1
	}
	return all, true, nil
}

// arName is a member's name, which is elsewhere when it is long.
func arName(name, long string) string {
	number, ok := strings.CutPrefix(name, "/")
	if !ok {
		return strings.TrimSuffix(name, "/")
	}
	at, err := strconv.Atoi(number)
	if err != nil || at < 0 || at >= len(long) {
		return map[string]string{"": "index", "SYM64/": "index", "/": "names"}[number]
	}
	rest, _, _ := strings.Cut(long[at:], "\n")
	return strings.TrimSuffix(rest, "/")
}
