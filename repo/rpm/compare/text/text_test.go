package text_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/repo/rpm/compare/text"
)

func TestShorten(t *testing.T) {
	long := strings.Repeat("x", 200)
	for _, tc := range []struct{ a, b, wantA, wantB string }{
		{"one", "two", "one", "two"},
		{"", "two", "", "two"},
		{long + "one", long + "two", "…" + long[:24] + "one", "…" + long[:24] + "two"},
		{long, long + "two", "…" + long[:24], "…" + long[:24] + "two"},
		{"a\x1b[2J\xff\n", "é", `a\u001b[2J\xff\u000a`, "é"},
		{long, "", long[:100] + "…", ""},
	} {
		a, b := text.Shorten(tc.a, tc.b)
		require.Equal(t, tc.wantA, a)
		require.Equal(t, tc.wantB, b)
	}
}

func TestUnified(t *testing.T) {
	for name, tc := range map[string]struct{ a, b, want string }{
		"the same":       {"a\nb\n", "a\nb", ""},
		"one line":       {"a\nb\nc\nd\n", "a\nb\nC\nd\n", "@@ -3,1 +3,1 @@\n b\n-c\n+C\n d\n"},
		"lines between":  {"1\n2\n3\n", "one\n2\nthree\n", "@@ -1,3 +1,3 @@\n-1\n+one\n 2\n-3\n+three\n"},
		"nothing before": {"", "a\n", "@@ -1,0 +1,1 @@\n+a\n"},
		"for a terminal": {"\x1b[2Ja\tb\n", "a\n", "@@ -1,1 +1,1 @@\n-\\u001b[2Ja\tb\n+a\n"},
	} {
		t.Run(name, func(t *testing.T) { require.Equal(t, tc.want, text.Unified(tc.a, tc.b)) })
	}
}

// TestUnifiedIsShort gives texts that are too large for the best diff too.
func TestUnifiedIsShort(t *testing.T) {
	numbers := func(format string, n int) string {
		var sb strings.Builder
		for i := range n {
			fmt.Fprintf(&sb, format+"\n", i)
		}
		return sb.String()
	}
	for _, n := range []int{100, 100000} {
		got := text.Unified(numbers("%d", n), numbers("x%d", n))
		require.LessOrEqual(t, strings.Count(got, "\n"), 26)
		require.Contains(t, got, "-0\n")
		require.Contains(t, got, "and ")
	}
	require.Contains(t, text.Unified(numbers("%d", 100000), numbers("x%d", 100000)), "+x0\n", "both sides are shown")
	require.Less(t, len(text.Unified(strings.Repeat("a", 1<<20), "b")), 300)
}
