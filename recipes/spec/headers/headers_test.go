package headers_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/recipes/spec/headers"
	"github.com/ohpc-build/ohpc-build/repo/rpm"
)

// What rpmspec really prints is tested with rpmspec, in package spec.
func TestParse(t *testing.T) {
	got, err := headers.Parse(`N 'a' 2 '1' '1' 'x86_64' 'it'\''s
two lines'
P 'a' 8 '2:1-1'
R '' 0 ''
AX 'sparc'
N 'b' 0 '1' '1' 'noarch' ''
`)
	require.NoError(t, err)
	require.Equal(t, []headers.Header{
		{
			Name: "a", Epoch: 2, Version: "1", Release: "1", Arch: "x86_64", Summary: "it's\ntwo lines",
			Provides:    []rpm.Dependency{{Name: "a", Flags: rpm.Equal, Version: "2:1-1"}},
			Requires:    []rpm.Dependency{{}},
			ExcludeArch: []string{"sparc"},
		},
		{Name: "b", Version: "1", Release: "1", Arch: "noarch"},
	}, got)

	got, err = headers.Parse("")
	require.NoError(t, err)
	require.Empty(t, got)
}

func TestParseRefuses(t *testing.T) {
	const n = "N 'a' 2 '1' '1' 'noarch' ''\n"
	for in, want := range map[string]string{
		"x":                          "it ends too early",
		"P 'a' 0 ''\n":               `a package has to come before "P"`,
		n + "Z 'a'\n":                `"Z" is unknown`,
		n + "P a 0 ''\n":             "there should be a quoted text",
		n + "P 'a":                   "a quoted text has no end",
		n + "P 'a' x ''\n":           "there should be a number",
		n + "P 'a' 99999999999 ''":   "there should be a number",
		n + "P 'a' 0 '' ''\n":        "a line has too many fields",
		n + "P 'a' 0 ''":             "a line has too many fields",
		"N 'a' (none) '1' '1' '' ''": "there should be a number",
	} {
		_, err := headers.Parse(in)
		require.EqualError(t, err, want, in)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("N 'a' 2 '1' '1' 'x86_64' 'it'\\''s'\nP 'a' 8 '1'\nSF 'x'\n")
	f.Fuzz(func(t *testing.T, in string) {
		got, err := headers.Parse(in)
		if err == nil && in != "" {
			require.NotEmpty(t, got)
		}
	})
}
