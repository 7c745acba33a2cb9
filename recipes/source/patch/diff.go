package patch

import (
	"bytes"
	"context"
	"fmt"
	"slices"
)

// edit is a line that stays (' '), goes ('-') or comes ('+').
type edit struct {
	op   byte
	line []byte
}

// lines splits a text after each line feed.
func lines(text []byte) [][]byte {
	split := bytes.SplitAfter(text, []byte("\n"))
	if last := len(split) - 1; len(split[last]) == 0 {
		split = split[:last]
	}
	return split
}

// maxEdits bounds the search for a shortest difference. Its work grows with the
// product of the lines and the edits, and its memory with the square of these:
// what differs in more is written as if nothing were the same.
const maxEdits = 2000

// difference leads from a to b (E. W. Myers, An O(ND) Difference Algorithm,
// 1986). It is our own so that it ends, and ends the same way on every machine,
// whatever a stranger's commit holds.
func difference(ctx context.Context, a, b [][]byte) ([]edit, error) {
	same := 0
	for same < len(a) && same < len(b) && bytes.Equal(a[same], b[same]) {
		same++
	}
	tail := 0
	for tail < len(a)-same && tail < len(b)-same && bytes.Equal(a[len(a)-1-tail], b[len(b)-1-tail]) {
		tail++
	}
	middle, err := shortest(ctx, a[same:len(a)-tail], b[same:len(b)-tail])
	if err != nil {
		return nil, err
	}
	edits := appendEdits(nil, ' ', a[:same])
	edits = append(edits, middle...)
	return appendEdits(edits, ' ', a[len(a)-tail:]), nil
}

func appendEdits(edits []edit, op byte, lines [][]byte) []edit {
	for _, line := range lines {
		edits = append(edits, edit{op, line})
	}
	return edits
}

// shortest goes over paths of d edits, for growing d. furthest[k] is how far into
// a one gets on the diagonal k, x-y=k; before holds it as it was ahead of each d.
func shortest(ctx context.Context, a, b [][]byte) ([]edit, error) {
	limit := min(len(a)+len(b), maxEdits)
	furthest := make([]int32, 2*limit+3)
	at := func(k int) *int32 { return &furthest[k+limit+1] }
	var before [][]int32
	for d := 0; d <= limit; d++ {
		if err := ctx.Err(); err != nil {
			return nil, context.Cause(ctx)
		}
		before = append(before, slices.Clone(furthest[limit+1-d:limit+2+d]))
		for k := -d; k <= d; k += 2 {
			var x int32
			if k == -d || k != d && *at(k - 1) < *at(k + 1) {
				x = *at(k + 1)
			} else {
				x = *at(k - 1) + 1
			}
			y := int(x) - k
			for int(x) < len(a) && y < len(b) && bytes.Equal(a[x], b[y]) {
				x++
				y++
			}
			*at(k) = x
			if int(x) >= len(a) && y >= len(b) {
				return trace(before, a, b), nil
			}
		}
	}
	return appendEdits(appendEdits(nil, '-', a), '+', b), nil
}

// trace goes back from the end along the path that was found.
func trace(before [][]int32, a, b [][]byte) []edit {
	var edits []edit
	x, y := len(a), len(b)
	for d := len(before) - 1; d >= 0; d-- {
		v := func(k int) int { return int(before[d][k+d]) }
		k := x - y
		fromX, fromY := 0, 0
		if d > 0 {
			last := k - 1
			if k == -d || k != d && v(k-1) < v(k+1) {
				last = k + 1
			}
			fromX = v(last)
			fromY = fromX - last
		}
		for x > fromX && y > fromY {
			x--
			y--
			edits = append(edits, edit{' ', a[x]})
		}
		switch {
		case d == 0:
		case x > fromX:
			x--
			edits = append(edits, edit{'-', a[x]})
		default:
			y--
			edits = append(edits, edit{'+', b[y]})
		}
	}
	slices.Reverse(edits)
	return edits
}

// contextLines stand around each change.
const contextLines = 3

// writeHunks writes the changes among edits, with the lines around them.
func writeHunks(w *bytes.Buffer, edits []edit) {
	old, updated := 0, 0 // lines before the edit at i
	for i := 0; i < len(edits); {
		if edits[i].op == ' ' {
			i, old, updated = i+1, old+1, updated+1
			continue
		}
		start, end := max(0, i-contextLines), hunkEnd(edits, i)
		lead := i - start
		before, after := 0, 0
		for _, e := range edits[start:end] {
			if e.op != '+' {
				before++
			}
			if e.op != '-' {
				after++
			}
		}
		fmt.Fprintf(w, "@@ -%s +%s @@\n", span(old-lead, before), span(updated-lead, after))
		for _, e := range edits[start:end] {
			w.WriteByte(e.op)
			w.Write(e.line)
			if !bytes.HasSuffix(e.line, []byte("\n")) {
				w.WriteString("\n\\ No newline at end of file\n")
			}
		}
		i, old, updated = end, old-lead+before, updated-lead+after
	}
}

// hunkEnd is where the hunk ends that the change at i begins: changes with fewer
// unchanged lines between them than each has around it are one.
func hunkEnd(edits []edit, i int) int {
	end := i
	for ; i < len(edits) && i <= end+2*contextLines; i++ {
		if edits[i].op != ' ' {
			end = i + 1
		}
	}
	return min(len(edits), end+contextLines)
}

// span is a range of lines as hunks write it: the first one counts from 1, but
// an empty range names the line before it.
func span(before, n int) string {
	switch n {
	case 0:
		return fmt.Sprintf("%d,0", before)
	case 1:
		return fmt.Sprint(before + 1)
	}
	return fmt.Sprintf("%d,%d", before+1, n)
}
