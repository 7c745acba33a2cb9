package spectext

import (
	"sort"
	"strings"
)

// Text is the text of a spec, or of a file that specs include.
type Text struct {
	text  string
	lines []int // where each begins
	match []int // for each opening bracket where its closing one is, else 0

	references []Reference
	tags       []Tag
}

// maxText bounds what is read of a spec in bytes. Real ones have some thousands.
const maxText = 1 << 20

// Parse reads a text. What is beyond the first mebibyte is left out.
func Parse(text []byte) *Text {
	t := &Text{text: string(text[:min(len(text), maxText)])}
	t.lines = []int{0}
	for i := range len(t.text) {
		if t.text[i] == '\n' {
			t.lines = append(t.lines, i+1)
		}
	}
	t.match = brackets(t.text)
	s := scanner{t: t}
	s.scan(0, len(t.text), 0, 0)
	t.references = s.found
	t.tags = t.readTags()
	return t
}

// Position is a line and a column, from 1. Columns count bytes.
type Position struct{ Line, Column int }

func (t *Text) position(offset int) Position {
	line := sort.Search(len(t.lines), func(i int) bool { return t.lines[i] > offset }) // the first that begins later
	return Position{Line: line, Column: offset - t.lines[line-1] + 1}
}

// line is one without its end, from 0.
func (t *Text) line(i int) string {
	end := len(t.text)
	if i+1 < len(t.lines) {
		end = t.lines[i+1] - 1
	}
	return strings.TrimSuffix(t.text[t.lines[i]:end], "\r")
}

// Lines is how many there are.
func (t *Text) Lines() int { return len(t.lines) }

// Find is the place of the first occurrence of a word.
func (t *Text) Find(word string) (Position, bool) {
	i := strings.Index(t.text, word)
	if i < 0 || word == "" {
		return Position{}, false
	}
	return t.position(i), true
}

// brackets finds for each opening bracket the one that closes it, as rpm does:
// each kind by itself, quotes without meaning, and what follows a backslash
// skipped (rpm: macro.c, matchchar).
func brackets(text string) []int {
	match := make([]int, len(text))
	var open [3][]int
	for i := 0; i < len(text); i++ {
		if text[i] == '\\' {
			i++
			continue
		}
		if kind := strings.IndexByte("({[", text[i]); kind >= 0 {
			open[kind] = append(open[kind], i)
		} else if kind := strings.IndexByte(")}]", text[i]); kind >= 0 && len(open[kind]) > 0 {
			last := len(open[kind]) - 1
			match[open[kind][last]] = i
			open[kind] = open[kind][:last]
		}
	}
	return match
}
