package strict_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/recipes/strict"
)

type file struct {
	Name    string            `yaml:"name,required"`
	Version string            `yaml:"version"`
	Noarch  bool              `yaml:"noarch"`
	Cores   int               `yaml:"cores"`
	Sources []source          `yaml:"sources"`
	Needs   *needs            `yaml:"needs"`
	Choice  map[string]choice `yaml:"choice"`
	Words   []string          `yaml:"words"`
}

type source struct {
	File   string `yaml:"file,required"`
	SHA256 string `yaml:"sha256,required"`
}

type needs struct {
	Time duration `yaml:"time"`
}

type duration struct{ time.Duration }

func (d *duration) UnmarshalText(text []byte) (err error) {
	d.Duration, err = time.ParseDuration(string(text))
	return err
}

// choice is either the word "all" or a list.
type choice []string

func (c *choice) UnmarshalText(text []byte) error {
	if string(text) != "all" {
		return errors.New(`must be a list, or "all"`)
	}
	*c = choice{"*"}
	return nil
}

func TestDecode(t *testing.T) {
	var f file
	doc, err := strict.Decode("recipe.yaml", []byte(`# what it is
name: hwloc
version: 2.10
noarch: true
cores: 4
words: [a, "b", 'c', 7, 1.10]
sources:
  - file: one.tar
    sha256: 00ff
  - {file: two.tar, sha256: "17"}
needs:
  time: 90m
choice:
  compiler: all
  mpi:
    - openmpi4
`), &f)
	require.NoError(t, err)
	require.Equal(t, file{
		Name:    "hwloc",
		Version: "2.10",
		Noarch:  true,
		Cores:   4,
		Words:   []string{"a", "b", "c", "7", "1.10"},
		Sources: []source{{"one.tar", "00ff"}, {"two.tar", "17"}},
		Needs:   &needs{duration{90 * time.Minute}},
		Choice:  map[string]choice{"compiler": {"*"}, "mpi": {"openmpi4"}},
	}, f)

	require.Equal(t, "recipe.yaml:9:13: does not match (fetch it)", doc.Problem("sources[0].sha256", "fetch it", "does not %s", "match").Error())
	require.Equal(t, "recipe.yaml:10:29: x", doc.Problem("sources[1].sha256", "", "x").Error())
	require.Equal(t, "recipe.yaml:10:6: x", doc.Problem("sources[1].nothing", "", "x").Error(), "the nearest value around it")
	require.Equal(t, "recipe.yaml: x", doc.Problem("", "", "x").Error())
	require.Equal(t, "recipe.yaml:15:3: x", doc.Problem("choice.mpi", "", "x").Error())
	require.True(t, doc.Has("needs.time"))
	require.False(t, doc.Has("needs.memory"))
}

func TestDecodeProblems(t *testing.T) {
	tests := map[string]struct{ in, want string }{
		"unknown key":      {"name: a\nsorces: []\n", `f:2:1: unknown key "sorces" (did you mean "sources"?)`},
		"unknown, far":     {"name: a\nxyzzy: []\n", `f:2:1: unknown key "xyzzy"`},
		"unknown, nested":  {"name: a\nsources:\n  - file: x\n    sha265: 1\n", "f:3:5: \"sha256\" is missing in sources[0]\nf:4:5: unknown key \"sha265\" (did you mean \"sha256\"?)"},
		"missing":          {"version: 1\n", `f:1:1: "name" is missing`},
		"empty":            {"name: \"\"\n", `f:1:7: name is empty`},
		"list for string":  {"name: [a]\n", `f:1:7: name must be a string, not a list`},
		"map for string":   {"name: {a: b}\n", `f:1:8: name must be a string, not a mapping`},
		"bool for string":  {"name: true\n", `f:1:7: name must be a string, not true`},
		"string for bool":  {"name: a\nnoarch: maybe\n", `f:2:9: noarch must be true or false, not "maybe"`},
		"string for int":   {"name: a\ncores: many\n", `f:2:8: cores must be a whole number, not "many"`},
		"float for int":    {"name: a\ncores: 1.5\n", `f:2:8: cores must be a whole number, not 1.5`},
		"quoted int":       {"name: a\ncores: \"2\"\n", `f:2:8: cores must be a whole number, not "2"`},
		"huge int":         {"name: a\ncores: 99999999999999999999\n", `f:2:8: cores must be a whole number, not "99999999999999999999"`},
		"string for list":  {"name: a\nsources: all\n", `f:2:10: sources must be a list, not "all"`},
		"string for map":   {"name: a\nneeds: all\n", `f:2:8: needs must be a mapping, not "all"`},
		"no value":         {"name:\n", `f:1:7: name has no value (leave the key out or give it a value)`},
		"bad text":         {"name: a\nneeds:\n  time: soon\n", `f:3:9: needs.time: time: invalid duration "soon"`},
		"bool for text":    {"name: a\nneeds:\n  time: true\n", `f:3:9: needs.time must be a string, not true`},
		"map for text":     {"name: a\nneeds:\n  time: {}\n", `f:3:9: needs.time must be a string, not a mapping`},
		"bool for choice":  {"name: a\nchoice:\n  mpi: true\n", `f:3:8: choice.mpi must be a list, not true`},
		"bad choice":       {"name: a\nchoice:\n  compiler: gnu12\n", `f:3:13: choice.compiler: must be a list, or "all"`},
		"anchor":           {"name: &a b\n", `f:1:7: anchors, aliases and tags are not allowed (write the value out)`},
		"alias":            {"version: &a b\nname: *a\n", "f:1:10: anchors, aliases and tags are not allowed (write the value out)\nf:2:7: anchors, aliases and tags are not allowed (write the value out)"},
		"tag":              {"name: !!str b\n", `f:1:7: anchors, aliases and tags are not allowed (write the value out)`},
		"merge key":        {"name: a\nneeds:\n  <<: {time: 1h}\n", `f:3:3: a key must be a plain word`},
		"nothing":          {"", `f: the file is empty`},
		"only a comment":   {"# nothing\n", `f: the file is empty`},
		"not a mapping":    {"- a\n", `f:1:3: the file must be a mapping, not a list`},
		"two documents":    {"name: a\n---\nname: b\n", `f: the file holds more than one YAML document`},
		"several at once":  {"naem: a\ncores: x\n", "f:1:1: unknown key \"naem\" (did you mean \"name\"?)\nf:1:1: \"name\" is missing\nf:2:8: cores must be a whole number, not \"x\""},
		"deep brackets":    {strings.Repeat("[", 60000), `f: the file is nested too deeply`},
		"deep dashes":      {strings.Repeat("- ", 30000), `f: the file is nested too deeply`},
		"long string":      {"name: a\ncores: " + strings.Repeat("x", 99), `f:2:8: cores must be a whole number, not "` + strings.Repeat("x", 40) + `…"`},
		"large":            {strings.Repeat("# padding\n", 30000), `f: the file is larger than 64 KiB`},
		"string with dash": {"name: a\nwords: [-a-b-c]\nneeds: 1", `f:3:8: needs must be a mapping, not 1`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var f file
			_, err := strict.Decode("f", []byte(tt.in), &f)
			require.EqualError(t, err, tt.want)
		})
	}
}

// Messages about broken syntax are the parser's; the place must be right.
func TestSyntax(t *testing.T) {
	for in, want := range map[string]string{
		"name: a\n  b: c\n":       "f:1:7: ",
		"name: 'a\n":              "f:1:7: ",
		"name: a\nname: b\n":      "f:2:1: ",
		"name: a\nwords: [a, b\n": "f:2:8: ",
	} {
		var f file
		_, err := strict.Decode("f", []byte(in), &f)
		require.ErrorContains(t, err, want, in)
	}
}

func TestProblemsAreSorted(t *testing.T) {
	ps := strict.Problems{{File: "b", Line: 1, Message: "x"}, {File: "a", Line: 2, Message: "y"}, {File: "a", Line: 1, Message: "z"}}
	require.EqualError(t, ps.Err(), "a:1:0: z\na:2:0: y\nb:1:0: x")
	require.NoError(t, strict.Problems(nil).Err())
}

func TestNearest(t *testing.T) {
	words := []string{"compiler", "mpi", "sources", "source"}
	for in, want := range map[string]string{
		"compilers": "compiler",
		"comipler":  "compiler",
		"MPI":       "mpi",
		"suorce":    "source",
		"sourecs":   "sources",
		"fabric":    "",
		"":          "",
	} {
		require.Equal(t, want, strict.Nearest(in, words), in)
	}
	require.Empty(t, strict.DidYouMean("fabric", words))
	require.Equal(t, `did you mean "mpi"?`, strict.DidYouMean("mip", words))
}

func FuzzDecode(f *testing.F) {
	for _, s := range []string{
		"name: a\nsources:\n  - file: x\n    sha256: y\n", "a: &x [*x]", "? a\n: b", "- - - a", "{a: {b: [c]}}",
		"name: |\n  text\n", "name: >-\n  text\n", "<<: *a", "!!binary a", "%YAML 1.2\n---\nname: a\n", "name: \"\\u0000\"", "choice: {a: all, b: [c]}",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var v file
		doc, err := strict.Decode("f", data, &v)
		require.NotNil(t, doc)
		if err == nil {
			return
		}
		var ps strict.Problems
		require.ErrorAs(t, err, &ps)
		for _, p := range ps {
			require.NotContains(t, p.Message, "runtime error", "a panic in the parser that a recipe can cause")
		}
	})
}
