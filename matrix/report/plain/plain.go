// Package plain makes foreign words fit to be shown: messages, names and logs hold
// what anybody may have written, and no terminal, browser or XML parser should be
// steered by it.
package plain

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"
)

// escapes are ECMA-48's control sequences (colours, cursor movements), strings with
// their terminator (window titles, links) and two-character escapes.
var escapes = regexp.MustCompile("\x1b\\[[0-?]*[ -/]*[@-~]|\x1b[\\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\\\)?|\x1b[ -/]*[0-Z\\\\^-~]")

// Text is s without terminal escapes and control characters other than line end
// and tab. What is invisible or turns the writing's direction is spelled out, as
// it makes a name look like another: <U+202E>.
func Text(s string) string {
	if ordinary(s) {
		return s
	}
	s = escapes.ReplaceAllString(strings.ToValidUTF8(s, "?"), "")
	var sb strings.Builder
	for _, r := range s {
		switch {
		case r == '\n' || r == '\t':
			sb.WriteRune(r)
		case unicode.IsControl(r) || r == unicode.ReplacementChar || r > 0xfffd && r < 0x10000:
		case unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp):
			fmt.Fprintf(&sb, "<U+%04X>", r)
		default:
			sb.WriteRune(r)
		}
	}
	return sb.String()
}

// Line is Text in one line.
func Line(s string) string { return strings.Join(strings.Fields(Text(s)), " ") }

func ordinary(s string) bool {
	for i := range len(s) {
		if c := s[i]; c >= 0x7f || c < ' ' && c != '\n' && c != '\t' {
			return false
		}
	}
	return true
}
