package closure

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/repo/rpm"
)

func rich(s string) rpm.Dependency { return rpm.Dependency{Name: s} }

func TestParse(t *testing.T) {
	for in, want := range map[string]string{
		"(a and b)":                             "(a and b)",
		"(a)":                                   "a",
		"((a))":                                 "a",
		"( a  or\tb )":                          "(a or b)",
		"(a or b or c)":                         "(a or b or c)",
		"(a >= 1:2-3 or b)":                     "(a >= 1:2-3 or b)",
		"(a => 1 or b =< 2 or c == 3)":          "(a >= 1 or b <= 2 or c = 3)",
		"(a if b)":                              "(a if b)",
		"(a if b else c)":                       "(a if b else c)",
		"(a unless b else (c or d))":            "(a unless b else (c or d))",
		"(a with b with c)":                     "(a with b with c)",
		"(a without b)":                         "(a without b)",
		"((a or b) with (c without d))":         "((a or b) with (c without d))",
		"(libc.so.6(GLIBC_2.4)(64bit) or /a/b)": "(libc.so.6(GLIBC_2.4)(64bit) or /a/b)",
		"(and and or)":                          "(and and or)",
		"((a and b) if (c or d))":               "((a and b) if (c or d))",
	} {
		e, err := Parse(rich(in))
		require.NoError(t, err, in)
		require.Equal(t, want, e.String())
	}
	e, err := Parse(rich("(a >= 1 and b(x) < 2)"))
	require.NoError(t, err)
	require.Equal(t, []Expression{
		{Leaf: rpm.Dependency{Name: "a", Flags: rpm.Greater | rpm.Equal, Version: "1"}},
		{Leaf: rpm.Dependency{Name: "b(x)", Flags: rpm.Less, Version: "2"}},
	}, e.Args)
}

func TestParseErrors(t *testing.T) {
	for in, want := range map[string]string{
		"()":                                   `a name is expected before ")"`,
		"(":                                    "it ends where a name is expected",
		"(a":                                   "it ends where an operator is expected",
		"(a and":                               "it ends where a name is expected",
		"(a and )":                             "a name is expected",
		"(a b)":                                `"b" is no operator`,
		"(a and b or c)":                       "and and or stand side by side",
		"(a if b if c)":                        "if stands twice",
		"(a else b)":                           "else without its if",
		"(a if b else c else d)":               "else without its if",
		"(a without b without c)":              "without stands twice",
		"(a >= )":                              "the version of a is expected",
		"(a <> 1)":                             `"<>" is no comparison`,
		"(a and b) c":                          `" c" follows its end`,
		"((a and b) with c)":                   "with cannot work on what and makes",
		"(a without (b if c))":                 "without cannot work on what if makes",
		strings.Repeat("(", 100):               "nested more than 50 deep",
		"(" + strings.Repeat("a", 70000):       "more than 65536 bytes",
		strings.Repeat("(a or ", 51) + "b))))": "nested more than 50 deep",
	} {
		_, err := Parse(rich(in))
		require.ErrorContains(t, err, want, in)
	}
}

// FuzzParse asserts that what was read is read again the same.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"(a and b)", "(a if b else c)", "((a or b >= 1) with x(y)(z))", "(((", "(a unless b)", "(a , b)"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if !strings.HasPrefix(s, "(") {
			return
		}
		e, err := Parse(rich(s))
		if err != nil || e.Op == "" {
			return
		}
		again, err := Parse(rich(e.String()))
		require.NoError(t, err, "%q", e)
		require.Equal(t, e, again)
	})
}
