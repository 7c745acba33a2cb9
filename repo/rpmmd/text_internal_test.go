package rpmmd

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestPlain puts every byte at every place of a text that is long enough to be
// looked at in parts, beside the bytes that could carry into others.
func TestPlain(t *testing.T) {
	for c := range 256 {
		for _, around := range []string{" ", "a", "~", "\x7f", "!", "=", "?", "#", "'"} {
			for at := range 19 {
				s := strings.Repeat(around, at) + string([]byte{byte(c)}) + strings.Repeat(around, 18-at)
				require.Equal(t, plainByte[c], plain(s), "%q", s)
			}
		}
	}
}

// TestEscapedAnywhere has what must be escaped at each place of the eight bytes that
// are looked at together.
func TestEscapedAnywhere(t *testing.T) {
	for before := range 18 {
		for after := range 18 {
			a, b := strings.Repeat("a", before), strings.Repeat("~", after)
			for raw, want := range map[string]string{
				"&": "&amp;", "<": "&lt;", ">": "&gt;", `"`: "&quot;", "\n": "&#10;", "\t": "&#9;", "\r": "&#13;",
				"é": "é", "\u20ac": "\u20ac", "\x7f": "\x7f", "<&>": "&lt;&amp;&gt;",
			} {
				got, ok := appendEscaped(nil, a+raw+b, true)
				require.True(t, ok)
				require.Equal(t, a+want+b, string(got))
			}
			got, ok := appendEscaped(nil, a+"\n"+b+"<", false)
			require.True(t, ok)
			require.Equal(t, a+"\n"+b+"&lt;", string(got))
			for _, bad := range []string{"\x01", "\x1f", "\uffff"} {
				got, ok := appendEscaped(nil, a+bad+b, false)
				require.False(t, ok)
				require.Equal(t, a+b, string(got))
			}
		}
	}
}

func TestHasPrimary(t *testing.T) {
	primary := 0
	for _, dir := range []string{"", "/", "/etc/", "/etc", "/etc/a/", "/a/etc/", "/usr/bin/", "/usr/bin", "/sbin/x/", "/usr/lib/", "/usr/lib", "b", "/usr/share/", "bin/"} {
		for _, base := range []string{"", "a", "sendmail", "/sendmail", "bin/x", "in/x", "etc/x", "/x", "bin", "in/", "etc"} {
			want := isPrimary([]byte(dir + base))
			require.Equal(t, want, newFolder(dir).hasPrimary(base), "%q %q", dir, base)
			if want {
				primary++
			}
		}
	}
	require.Greater(t, primary, 20)
}
