package rpmmd

import (
	"fmt"
	"math/bits"
	"strconv"
	"unicode/utf8"
)

// xml appends XML to a buffer. After an error it appends no more.
type xml struct {
	b   []byte
	err error
}

// raw appends markup as it is.
func (x *xml) raw(s string) { x.b = append(x.b, s...) }

func (x *xml) int(n int64) { x.b = strconv.AppendInt(x.b, n, 10) }

func (x *xml) uint(n uint64) { x.b = strconv.AppendUint(x.b, n, 10) }

// prose appends text for people; characters that XML cannot hold are left out.
func (x *xml) prose(s string) { x.b, _ = appendEscaped(x.b, s, false) }

// name appends what programs rely on, as an element's content: there, nothing
// may be left out, so that a character which XML cannot hold is an error.
func (x *xml) name(s string) { x.identifier(s, false) }

// attr appends ` key="value"` for a value that programs rely on.
func (x *xml) attr(key, value string) {
	x.b = append(append(append(x.b, ' '), key...), '=', '"')
	x.identifier(value, true)
	x.b = append(x.b, '"')
}

// proseAttr is attr for text for people.
func (x *xml) proseAttr(key, value string) {
	x.b = append(append(append(x.b, ' '), key...), '=', '"')
	x.b, _ = appendEscaped(x.b, value, true)
	x.b = append(x.b, '"')
}

func (x *xml) identifier(s string, attr bool) {
	var ok bool
	if x.b, ok = appendEscaped(x.b, s, attr); !ok && x.err == nil {
		x.err = fmt.Errorf("%q has a character that metadata cannot hold", s)
	}
}

// appendEscaped appends s escaped, for an attribute's value or an element's
// content. Text that is not UTF-8 is taken for Latin-1, all of it, as
// createrepo_c does (createrepo_c: cr_latin1_to_utf8). Characters that XML 1.0
// does not allow are left out; ok says that there were none.
func appendEscaped(b []byte, s string, attr bool) (_ []byte, ok bool) {
	if plain(s) {
		return append(b, s...), true
	}
	if !utf8.ValidString(s) {
		s = fromLatin1(s)
	}
	ok = true
	start := 0 // of what can be copied as it is
	for i := 0; i < len(s); {
		if len(s)-i >= 8 {
			n := bits.TrailingZeros64(special(s[i:])) / 8 // eight when there is none
			if i += n; n == 8 {
				continue
			}
		}
		c := s[i]
		if plainByte[c] || c == '\n' && !attr {
			i++
			continue
		}
		width, with := 1, ""
		switch {
		case c >= utf8.RuneSelf:
			r, n := utf8.DecodeRuneInString(s[i:])
			if r != 0xFFFE && r != 0xFFFF {
				i += n
				continue
			}
			width, ok = n, false
		case c == '&':
			with = "&amp;"
		case c == '<':
			with = "&lt;"
		case c == '>':
			with = "&gt;"
		case c == '"' && attr:
			with = "&quot;"
		case c == '\r': // a parser would make a line feed of it
			with = "&#13;"
		case c == '\n' && attr: // and of these a space
			with = "&#10;"
		case c == '\t' && attr:
			with = "&#9;"
		case c < ' ' && c != '\n' && c != '\t':
			ok = false
		default:
			i++
			continue
		}
		b = append(append(b, s[start:i]...), with...)
		i += width
		start = i
	}
	return append(b, s[start:]...), ok
}

// plain says that a text is the same escaped, as nearly all are.
func plain(s string) bool {
	for ; len(s) >= 8; s = s[8:] {
		if special(s) != 0 {
			return false
		}
	}
	for i := range len(s) {
		if !plainByte[s[i]] {
			return false
		}
	}
	return true
}

// special looks at eight bytes at once. The lowest of them that is none of ASCII,
// less than a space, or one of "&<> has the highest bit of its byte set in the
// result, and none below it has (Bit Twiddling Hacks, "Determine if a word has a
// zero byte").
func special(s string) uint64 {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	_ = s[7]
	x := uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
	quote := (x | 4*ones) ^ '&'*ones // '"' is '&' without the bit 4
	angle := (x | 2*ones) ^ '>'*ones // and '<' is '>' without the bit 2
	found := x | (x-' '*ones)&^x | (quote-ones)&^quote | (angle-ones)&^angle
	return found & highs
}

// plainByte has the ASCII characters that stand for themselves everywhere.
var plainByte = func() (t [256]bool) {
	for c := ' '; c < utf8.RuneSelf; c++ {
		t[c] = c != '&' && c != '<' && c != '>' && c != '"'
	}
	return t
}()

// fromLatin1 leaves out 0x80 to 0xbf, as createrepo_c does: they are control
// codes, or the text was in another encoding.
func fromLatin1(s string) string {
	b := make([]byte, 0, len(s)+len(s)/4)
	for i := range len(s) {
		if c := s[i]; c < 0x80 || c >= 0xc0 {
			b = utf8.AppendRune(b, rune(c))
		}
	}
	return string(b)
}
