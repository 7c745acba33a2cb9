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
