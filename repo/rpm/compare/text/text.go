package text

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxValue is how many bytes of a value are told.
const MaxValue = 100

const (
	maxContext = 24  // characters in front of the first difference
	maxLine    = 160 // characters of a line of a text
	maxLines   = 24  // lines of a text that are told
	maxTable   = 4 << 20
)

// Shorten makes two different values fit into a line, around the first place in
// which they differ.
func Shorten(a, b string) (string, string) {
	start := 0
	if len(a) > MaxValue || len(b) > MaxValue {
		for start < min(len(a), len(b)) && a[start] == b[start] {
			start++
		}
		if start = max(start-maxContext, 0); b == "" || a == "" {
			start = 0
		}
	}
	return cut(a, start), cut(b, start)
}

func cut(s string, start int) string {
	if start >= len(s) {
		if s == "" {
			return ""
		}
		return "…"
	}
	for start > 0 && !utf8.RuneStart(s[start]) {
		start--
	}
	text := s[start:]
	if start > 0 {
		text = "…" + text
	}
	return Printable(Clip(text, MaxValue))
}

// Clip is s with at most n bytes, and what says that there were more.
func Clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "…"
}

// Printable shows what is not for a terminal as its number.
func Printable(s string) string {
	if !strings.ContainsFunc(s, func(r rune) bool { return r == utf8.RuneError || !unicode.IsPrint(r) }) {
		return s
	}
	var sb strings.Builder
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&sb, `\x%02x`, s[0])
		case !unicode.IsPrint(r):
			fmt.Fprintf(&sb, `\u%04x`, r)
		default:
			sb.WriteString(s[:n])
		}
		s = s[n:]
	}
	return sb.String()
}

// Unified is a short unified diff of two texts: "" when they have the same lines.
func Unified(a, b string) string {
	x, y := lines(a), lines(b)
	start := 0
	for start < min(len(x), len(y)) && x[start] == y[start] {
		start++
	}
	endX, endY := len(x), len(y)
	for endX > start && endY > start && x[endX-1] == y[endY-1] {
		endX, endY = endX-1, endY-1
	}
	if start == max(endX, endY) {
		return ""
	}
	w := &hunk{}
	w.header(start+1, endX-start, start+1, endY-start)
	if start > 0 {
		w.line(' ', x[start-1])
	}
	w.body(x[start:endX], y[start:endY])
	if endX < len(x) {
		w.line(' ', x[endX])
	}
	return w.text()
}

func lines(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(strings.TrimSuffix(s, "\n"), "\n")
}

// hunk is a diff being written.
type hunk struct {
	sb      strings.Builder
	written int
	left    int
}

func (h *hunk) header(fromA, countA, fromB, countB int) {
	fmt.Fprintf(&h.sb, "@@ -%d,%d +%d,%d @@\n", fromA, countA, fromB, countB)
}

func (h *hunk) line(sign byte, s string) {
	if h.written == maxLines {
		h.left++
		return
	}
	h.written++
	h.sb.WriteByte(sign)
	h.sb.WriteString(strings.ReplaceAll(Printable(Clip(s, maxLine)), `\u0009`, "\t"))
	h.sb.WriteByte('\n')
}

func (h *hunk) text() string {
	if h.left > 0 {
		fmt.Fprintf(&h.sb, "… and %d lines more\n", h.left)
	}
	return h.sb.String()
}

// body writes the lines that differ and, where the texts are small enough to find
// them, those in between that do not.
func (h *hunk) body(x, y []string) {
	if (len(x)+1)*(len(y)+1) > maxTable {
		h.replaced(x, y)
		return
	}
	// common[i*w+j] is how many lines x[i:] and y[j:] have in common in one order.
	w := len(y) + 1
	common := make([]int32, (len(x)+1)*w)
	for i := len(x) - 1; i >= 0; i-- {
		for j := len(y) - 1; j >= 0; j-- {
			if x[i] == y[j] {
				common[i*w+j] = common[(i+1)*w+j+1] + 1
			} else {
				common[i*w+j] = max(common[(i+1)*w+j], common[i*w+j+1])
			}
		}
	}
	i, j := 0, 0
	for i < len(x) && j < len(y) {
		switch {
		case x[i] == y[j]:
			h.line(' ', x[i])
			i, j = i+1, j+1
		case common[(i+1)*w+j] >= common[i*w+j+1]:
			h.line('-', x[i])
			i++
		default:
			h.line('+', y[j])
			j++
		}
	}
	h.replaced(x[i:], y[j:])
}

// replaced writes lines that have nothing in common, half of the room for each.
func (h *hunk) replaced(x, y []string) {
	for _, side := range []struct {
		sign  byte
		lines []string
		other int
	}{{'-', x, len(y)}, {'+', y, 0}} {
		room := maxLines - h.written
		if side.other > 0 {
			room -= min(room/2, side.other)
		}
		for i, s := range side.lines {
			if i >= room {
				h.left += len(side.lines) - i
				break
			}
			h.line(side.sign, s)
		}
	}
}
