package provide_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/matrix/plan/provide"
	"github.com/ohpc-build/ohpc-build/repo/rpm"
)

// dependency reads "name" or "name >= version"; an expression stays whole.
func dependency(s string) rpm.Dependency {
	words := strings.Fields(s)
	if strings.HasPrefix(s, "(") || len(words) != 3 {
		return rpm.Dependency{Name: s}
	}
	d := rpm.Dependency{Name: words[0], Version: words[2]}
	for _, c := range words[1] {
		d.Flags |= map[rune]rpm.Sense{'<': rpm.Less, '=': rpm.Equal, '>': rpm.Greater}[c]
	}
	return d
}

// dependencies reads "a, b = 1".
func dependencies(s string) []rpm.Dependency {
	var all []rpm.Dependency
	for part := range strings.SplitSeq(s, ",") {
		if part = strings.TrimSpace(part); part != "" {
			all = append(all, dependency(part))
		}
	}
	return all
}

type made struct {
	provides, requires, files, picks string
}

// packages are made by owners of their own, from 1.
func packages(all ...made) []provide.Package {
	var result []provide.Package
	for i, m := range all {
		p := provide.Package{
			Provides: dependencies(m.provides), Requires: dependencies(m.requires), Files: strings.Fields(m.files),
			Consumer: provide.Consumer{Owner: i + 1, Picks: picks(m.picks)},
		}
		p.Name = p.Provides[0].Name
		result = append(result, p)
	}
	return result
}

// picks reads "compiler=gnu14 mpi=mpich".
func picks(s string) map[string]string {
	all := map[string]string{}
	for _, word := range strings.Fields(s) {
		choice, member, _ := strings.Cut(word, "=")
		all[choice] = member
	}
	return all
}

// base holds what begins with "base", and nobody knows of what begins with "perhaps".
func base(req rpm.Dependency) (met, known bool) {
	return strings.HasPrefix(req.Name, "base"), !strings.HasPrefix(req.Name, "perhaps")
}

func held(pkgs []provide.Package, r *provide.Root) string {
	var names []string
	for _, s := range r.Steps() {
		names = append(names, pkgs[s.Package].Name)
	}
	return strings.Join(names, " ")
}

func TestRoot(t *testing.T) {
	pkgs := packages(
		made{provides: "a = 1, a(x86-64) = 1", requires: "b"},
		made{provides: "b = 2", requires: "c, a, /bin/sh"},
		made{provides: "c = 3", files: "/opt/c/bin/c"},
		made{provides: "d = 1, /usr/bin/d", requires: "(c if b)"},
		made{provides: "either = 1", requires: "(d or c)"},
		made{provides: "both = 1", requires: "(d with /usr/bin/d)"},
		made{provides: "x = 1, tool = 1, old"},
		made{provides: "y = 1, tool = 2"},
		made{provides: "doubt = 1", requires: "(c if perhaps-there)"},
		made{provides: "weak = 1", requires: "(broken or"},
	)
	w := provide.NewWorld(pkgs, base)
	for name, tc := range map[string]struct{ requires, want string }{
		"nothing":                      {"", ""},
		"the base's":                   {"base-devel, unheard-of", ""},
		"a circle at run time":         {"a", "a b c"},
		"the nearest first":            {"a, c", "a c b"},
		"for an architecture":          {"a(x86-64)", "a b c"},
		"of another architecture":      {"a(aarch-64)", ""},
		"new enough":                   {"b >= 2", "b c a"},
		"too old":                      {"b > 2", ""},
		"a file":                       {"/opt/c/bin/c", "c"},
		"a file that is provided":      {"/usr/bin/d", "d"},
		"another path":                 {"/bin/d", ""},
		"a condition that is false":    {"d", "d"},
		"one that is true":             {"d, b", "d b c a"},
		"one that comes true later":    {"d, (b or a)", "d b c a"},
		"one of which nobody knows":    {"doubt", "doubt c"},
		"the first alternative":        {"either", "either d"},
		"the one that is there":        {"either, c", "either c"},
		"the one that comes first":     {"(unheard-of or c or d)", "c"},
		"the base's comes first":       {"(base or c)", ""},
		"what may be the base's":       {"(perhaps or c)", "c"},
		"and":                          {"(c and d)", "c d"},
		"and, in part the base's":      {"(base-devel and d)", "d"},
		"with":                         {"both", "both d"},
		"without":                      {"(tool without old)", "y"},
		"else":                         {"(c if base else d)", "c"},
		"otherwise":                    {"(c if unheard-of else d)", "d"},
		"unless":                       {"(c unless base else d)", "d"},
		"unless not":                   {"(c unless unheard-of)", "c"},
		"a version decides":            {"tool >= 2", "y"},
		"of several the first":         {"tool", "x"},
		"of several what is there":     {"tool, y", "y"},
		"what cannot be read":          {"weak, (c", "weak"},
		"rpm's own":                    {"rpmlib(c), c", "c"},
		"an alternative with a choice": {"((tool and d) or c)", "x d"},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, tc.want, held(pkgs, w.Root(provide.Consumer{}, dependencies(tc.requires))))
		})
	}
}

func TestChoices(t *testing.T) {
	pkgs := packages(
		made{provides: "openmpi-intel = 5, mpi-devel", picks: "compiler=intel mpi=openmpi"},
		made{provides: "mpich-gnu14 = 4, mpi-devel", picks: "compiler=gnu14 mpi=mpich"},
		made{provides: "openmpi-gnu14 = 5, mpi-devel", picks: "compiler=gnu14 mpi=openmpi"},
		made{provides: "imitation = 1, zlib = 1", picks: "compiler=gnu14"},
		made{provides: "zlib = 1"},
		made{provides: "generic = 1", requires: "mpi-devel"},
		made{provides: "strict = 1", requires: "mpi-devel", picks: "mpi=openmpi"},
		made{provides: "foreign = 1, f", picks: "compiler=intel"},
		made{provides: "f2 = 1, f", picks: "compiler=gnu14"},
	)
	w := provide.NewWorld(pkgs, nil)
	for name, tc := range map[string]struct{ picks, requires, want string }{
		"of the same compiler":             {"compiler=gnu14", "mpi-devel", "mpich-gnu14"},
		"of the same compiler and MPI":     {"compiler=gnu14 mpi=openmpi", "mpi-devel", "openmpi-gnu14"},
		"no choices at all":                {"", "mpi-devel", "openmpi-intel"},
		"what is required by name":         {"compiler=gnu14", "mpi-devel, openmpi-gnu14", "openmpi-gnu14"},
		"the name itself":                  {"compiler=gnu14", "zlib", "zlib"},
		"not of another compiler":          {"compiler=gnu14", "f", "f2"},
		"for what a requirement requires":  {"compiler=gnu14 mpi=openmpi", "generic", "generic openmpi-gnu14"},
		"whose own choices go first":       {"compiler=gnu14 mpi=mpich", "strict", "strict openmpi-gnu14"},
		"all others are for other choices": {"compiler=llvm", "mpi-devel", "openmpi-intel"},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, tc.want, held(pkgs, w.Root(provide.Consumer{Picks: picks(tc.picks)}, dependencies(tc.requires))))
		})
	}
}

func TestOwnPackagesDoNotCountForTheirBuild(t *testing.T) {
	pkgs := packages(made{provides: "gcc = 14", requires: "gcc-libs"}, made{provides: "gcc-libs = 14"}, made{provides: "x = 1", requires: "gcc"})
	pkgs[1].Owner = 1
	w := provide.NewWorld(pkgs, nil)
	me := provide.Consumer{Owner: 1}
	require.Empty(t, held(pkgs, w.Root(me, dependencies("gcc, gcc-libs"))))
	require.Equal(t, "x gcc gcc-libs", held(pkgs, w.Root(me, dependencies("x"))), "what another package drags in does")
}

func TestJudge(t *testing.T) {
	pkgs := packages(made{provides: "a = 1"}, made{provides: "b = 1, virtual"}, made{provides: "c = 1, virtual"})
	w := provide.NewWorld(pkgs, base)
	for requirement, want := range map[string]struct {
		verdict   provide.Verdict
		providers string
		missing   string
	}{
		"a":                           {provide.Met, "a", ""},
		"a >= 2":                      {provide.Unknown, "", "a >= 2"},
		"base":                        {provide.External, "", ""},
		"perhaps":                     {provide.Assumed, "", ""},
		"none":                        {provide.Unknown, "", "none"},
		"virtual":                     {provide.Met, "c", ""}, // which is in the root
		"(a and base)":                {provide.Met, "a", ""},
		"(a and perhaps)":             {provide.Assumed, "a", ""},
		"(a and none and other)":      {provide.Unknown, "a", "none other"},
		"(none or a)":                 {provide.Met, "a", ""},
		"(none or base)":              {provide.External, "", ""},
		"(none or perhaps or base)":   {provide.External, "", ""},
		"(none or other)":             {provide.Unknown, "", "none other"},
		"(b or c)":                    {provide.Met, "c", ""},
		"(none if c)":                 {provide.Unknown, "", "none"},
		"(none if b)":                 {provide.Void, "", ""}, // not in the root
		"(none if base)":              {provide.Unknown, "", "none"},
		"(none if other)":             {provide.Void, "", ""},
		"(none if perhaps)":           {provide.Assumed, "", ""},
		"(none if other else a)":      {provide.Met, "a", ""},
		"(none unless a)":             {provide.Unknown, "", "none"},
		"(none unless a else base)":   {provide.External, "", ""},
		"(b with virtual)":            {provide.Met, "b", ""},
		"(virtual without c)":         {provide.Met, "b", ""},
		"(a with virtual)":            {provide.Unknown, "", ""}, // each has a provider, but not the same
		"(none with base)":            {provide.Unknown, "", "none"},
		"(base1 with base2)":          {provide.External, "", ""},
		"(base without none)":         {provide.External, "", ""},
		"((none or a) and (b or b2))": {provide.Met, "a b", ""},
	} {
		t.Run(requirement, func(t *testing.T) {
			root := w.Root(provide.Consumer{}, dependencies("c"))
			j, err := root.Judge(dependency(requirement))
			require.NoError(t, err)
			require.Equal(t, want.verdict, j.Verdict)
			var providers, missing []string
			for _, p := range j.Providers {
				providers = append(providers, pkgs[p].Name)
			}
			for _, d := range j.Missing {
				missing = append(missing, d.String())
			}
			require.Equal(t, want.providers, strings.Join(providers, " "))
			require.Equal(t, want.missing, strings.Join(missing, " "))
		})
	}
	j, err := w.Judge(provide.Consumer{}, dependency("virtual"))
	require.NoError(t, err)
	require.Equal(t, provide.Judgement{Verdict: provide.Met, Providers: []int{1}}, j, "with no root the first")
	_, err = w.Judge(provide.Consumer{}, dependency("(a or"))
	require.ErrorContains(t, err, "it ends")
}

// TestDeepExpressions is about time: no part is looked at exponentially often.
func TestDeepExpressions(t *testing.T) {
	pkgs := packages(made{provides: "a = 1"}, made{provides: "b = 1"})
	w := provide.NewWorld(pkgs, base)
	for _, pattern := range []string{"(a if %)", "(% if b)", "(a or %)", "(% or a)", "(a unless % else b)", "(a if % else b)", "(% and (a or b))"} {
		e := "b"
		for range 45 {
			e = strings.ReplaceAll(pattern, "%", e)
		}
		root := w.Root(provide.Consumer{}, dependencies("a, "+e))
		_, err := root.Judge(dependency(e))
		require.NoError(t, err)
	}
}
