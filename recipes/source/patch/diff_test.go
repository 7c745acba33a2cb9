package patch

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// sides puts the two texts together again from what leads from one to the other.
func sides(edits []edit) (before, after []byte, changes int) {
	for _, e := range edits {
		if e.op != '+' {
			before = append(before, e.line...)
		}
		if e.op != '-' {
			after = append(after, e.line...)
		}
		if e.op != ' ' {
			changes++
		}
	}
	return before, after, changes
}

func TestDifferenceIsShort(t *testing.T) {
	for _, tt := range []struct {
		before, after string // a letter for a line
		changes       int
	}{
		{"", "", 0},
		{"", "abc", 3},
		{"abc", "", 3},
		{"abcabba", "cbabac", 5},
		{"abcdef", "abxdef", 2},
		{"abcdefgh", "bcdefgha", 2},
		{"aaaa", "aa", 2},
	} {
		split := func(s string) []byte { return []byte(strings.Join(strings.Split(s, ""), "\n") + "\n") }
		edits, err := difference(t.Context(), lines(split(tt.before)), lines(split(tt.after)))
		require.NoError(t, err)
		before, after, changes := sides(edits)
		require.Equal(t, string(split(tt.before)), string(before))
		require.Equal(t, string(split(tt.after)), string(after))
		if tt.before != "" && tt.after != "" {
			require.Equal(t, tt.changes, changes, "%s %s", tt.before, tt.after)
		}
	}
}

// What differs everywhere must not take forever.
func TestDifferenceEnds(t *testing.T) {
	var before, after bytes.Buffer
	for i := range 200_000 {
		fmt.Fprintf(&before, "%d\n", i)
		fmt.Fprintf(&after, "%d\n", -i-1)
	}
	start := time.Now()
	edits, err := difference(t.Context(), lines(before.Bytes()), lines(after.Bytes()))
	require.NoError(t, err)
	require.Less(t, time.Since(start), 20*time.Second)
	b, a, _ := sides(edits)
	require.True(t, bytes.Equal(before.Bytes(), b))
	require.True(t, bytes.Equal(after.Bytes(), a))

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = difference(ctx, lines(before.Bytes()), lines(after.Bytes()))
	require.ErrorIs(t, err, context.Canceled)
}

func FuzzDifference(f *testing.F) {
	f.Add([]byte("a\nb\nc\na\nb\nb\na\n"), []byte("c\nb\na\nb\na\nc"))
	f.Add([]byte(""), []byte("\n"))
	f.Add([]byte("a"), []byte("a\n"))
	f.Fuzz(func(t *testing.T, before, after []byte) {
		edits, err := difference(t.Context(), lines(before), lines(after))
		require.NoError(t, err)
		b, a, _ := sides(edits)
		require.True(t, bytes.Equal(before, b))
		require.True(t, bytes.Equal(after, a))
		var text bytes.Buffer
		writeHunks(&text, edits)
		require.Equal(t, bytes.Equal(before, after), text.Len() == 0)
	})
}
