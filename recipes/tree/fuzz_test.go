package tree

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzConfig: any text is either read or refused with the line that is wrong.
func FuzzConfig(f *testing.F) {
	for _, name := range []string{"config", "config.2.x"} {
		text, err := os.ReadFile("testdata/openhpc/misc/obs/" + name)
		require.NoError(f, err)
		f.Add(text)
	}
	for _, text := range []string{
		"", "[a]", "[a]\nb=[", "[a]\nb=['c',\n \"d\\\\e\"]#x\n", "b=1", "[a]\nb", "[a]\nb:['\\", "[]\n", "[a]\n[a]\n", " \t[a]\n  b=c\n    d", "[a]\r\nb = ['\xff']\r\n",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		l := &loader{}
		c := l.parse("config", text)
		require.NotNil(t, c)
		last := strings.Count(string(text), "\n") + 1
		for _, s := range c.sections {
			require.NotEmpty(t, s.name)
			for _, o := range s.options {
				require.NotEmpty(t, o.key)
				require.Greater(t, o.line, s.line)
				for _, value := range l.list(c, o) {
					require.NotContains(t, value, "\n")
					require.LessOrEqual(t, len(value), len(o.value))
				}
			}
		}
		for _, p := range l.problems {
			require.NotEmpty(t, p.Message)
			require.GreaterOrEqual(t, p.Line, 1)
			require.LessOrEqual(t, p.Line, last)
		}
	})
}

// FuzzList: what is written as a list of strings is read as the same.
func FuzzList(f *testing.F) {
	f.Add("-intel\\b", "gnu14", true)
	f.Add(`a"b'c`, ", [] #", false)
	f.Fuzz(func(t *testing.T, a, b string, single bool) {
		if strings.ContainsAny(a+b, "\n\r") {
			t.Skip("a string ends with its line")
		}
		quote := func(s string) string {
			mark := `"`
			if single {
				mark = "'"
			}
			s = strings.ReplaceAll(s, `\`, `\\`)
			return mark + strings.ReplaceAll(s, mark, `\`+mark) + mark
		}
		got, problem := pythonList("[" + quote(a) + ",\n" + quote(b) + "]")
		require.Empty(t, problem)
		require.Equal(t, []string{a, b}, got)
	})
}

// FuzzScan: any spec has traits that can be built upon.
func FuzzScan(f *testing.F) {
	for _, name := range []string{"io-libs/netcdf/SPECS/netcdf.spec", "mpi-families/mpich/SPECS/mpich.spec", "mpi-families/openmpi/SPECS/openmpi.spec", "admin/lmod-defaults/SPECS/lmod-defaults.spec"} {
		text, err := os.ReadFile("testdata/openhpc/components/" + name)
		require.NoError(f, err)
		f.Add(text)
	}
	f.Add([]byte("%endif\n%else\n%if 0%{x}\n%define A_DELIM -b\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		traits := scan(text)
		if traits.mpi {
			require.True(t, traits.compiler, "no MPI without a compiler")
		}
		seen := map[string]bool{}
		for _, v := range traits.variants {
			require.NotEmpty(t, v.Name)
			require.NotEmpty(t, v.Defines)
			require.False(t, seen[v.Name], "%s is there twice", v.Name)
			seen[v.Name] = true
		}
	})
}
