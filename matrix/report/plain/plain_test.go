package plain_test

import (
	"encoding/xml"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/matrix/report/plain"
)

func TestText(t *testing.T) {
	for name, tc := range map[string]struct{ in, want string }{
		"ordinary":         {"scotch (gnu12)\n\tok", "scotch (gnu12)\n\tok"},
		"other scripts":    {"größe 日本", "größe 日本"},
		"colours":          {"\x1b[01;31merror:\x1b[0m\x1b[K x", "error: x"},
		"title and link":   {"\x1b]0;owned\x07a \x1b]8;;http://x\x1b\\b", "a b"},
		"never terminated": {"a\x1b]0;the rest", "a"},
		"cleared screen":   {"a\x1bcb\x1b[2J", "ab"},
		"controls":         {"a\x00b\x07c\rd\u0085e", "abcde"},
		"not UTF-8":        {"a\xff\xfeb", "a?b"},
		"direction":        {"gpj\u202e.exe", "gpj<U+202E>.exe"},
		"invisible":        {"sc\u200botch\u2028x", "sc<U+200B>otch<U+2028>x"},
	} {
		t.Run(name, func(t *testing.T) { require.Equal(t, tc.want, plain.Text(tc.in)) })
	}
	require.Equal(t, "a b c", plain.Line(" a\n\tb\x1b[0m  c\n"))
}

func FuzzText(f *testing.F) {
	for _, s := range []string{"a", "\x1b[31m", "\x1b]0;x\x07", "\xff", "\u202e", "\ufffe"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := plain.Text(s)
		require.True(t, utf8.ValidString(got))
		require.False(t, strings.ContainsFunc(got, func(r rune) bool {
			return r != '\n' && r != '\t' && unicode.IsControl(r) || unicode.Is(unicode.Cf, r)
		}), "%q", got)
		require.Equal(t, got, plain.Text(got), "what is clean stays as it is")
		var sb strings.Builder
		require.NoError(t, xml.EscapeText(&sb, []byte(got)))
		var back string
		require.NoError(t, xml.Unmarshal([]byte("<a>"+sb.String()+"</a>"), &back))
		require.Equal(t, got, back)
	})
}
