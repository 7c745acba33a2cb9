package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/repo/rpm/compare"
)

func TestVersionString(t *testing.T) {
	for _, allowed := range []compare.Difference{
		{File: "/opt/x", Part: "section .comment, at byte 0x27 (of 70 and 39)"},
		{File: "/opt/x", Part: "section .note.gnu.build-id"},
		{Tag: "ClassDict", Part: "the 2. element", A: "ELF, BuildID[sha1]=e7f9, not stripped", B: "ELF, BuildID[sha1]=fc52, not stripped"},
	} {
		_, ok := versionString(allowed)
		require.True(t, ok, allowed.String())
	}
	for _, refused := range []compare.Difference{
		{File: "/opt/x", Part: "section .text, at byte 0x27"},
		{File: "/opt/x", Part: "section .comments"},
		{Part: "section .comment"},
		{Tag: "ClassDict", A: "ELF, BuildID[sha1]=e7f9, not stripped", B: "ELF, BuildID[sha1]=fc52, stripped"},
		{Tag: "ClassDict", A: "ASCII text", B: "ASCII text"},
	} {
		_, ok := versionString(refused)
		require.False(t, ok, refused.String())
	}
}
