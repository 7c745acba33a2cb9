package rpm_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/repo/rpm"
	"github.com/ohpc-build/ohpc-build/repo/rpm/rpmtest"
)

const (
	less, greater, equal = rpm.Less, rpm.Greater, rpm.Equal
	atMost, atLeast      = less | equal, greater | equal
)

// TestSatisfiedBy compares every kind of range with every other over versions
// that differ in epoch, version, release, or in having them, with what rpm says
// of a package that requires and one that provides them.
func TestSatisfiedBy(t *testing.T) {
	var provides, requires []rpm.Dependency
	evrs := []string{"1", "1-1", "1-2", "2", "1:1", "1:1-1", "0:1-1", "1~rc1", "1^git", ""}
	senses := []rpm.Sense{less, atMost, equal, atLeast, greater, 0}
	for i, pf := range senses {
		for j, pv := range evrs {
			for _, rf := range senses {
				for _, rv := range evrs {
					if (pf == 0) != (pv == "") || (rf == 0) != (rv == "") {
						continue
					}
					name := fmt.Sprintf("cap-%d-%d-%d", i, j, len(requires))
					provides = append(provides, rpm.Dependency{Name: name, Flags: pf, Version: pv})
					requires = append(requires, rpm.Dependency{Name: name, Flags: rf, Version: rv})
				}
			}
		}
	}
	dir := t.TempDir()
	write := func(name string, entries ...rpmtest.Entry) string {
		path := filepath.Join(dir, name+".rpm")
		require.NoError(t, os.WriteFile(path, rpmtest.Simple(name, "1", "1", "noarch", entries...).Bytes(), 0o644))
		return path
	}
	out, _ := rpmtest.Try(t, "rpm", "--define", "_dbpath "+filepath.Join(dir, "db"), "--nosignature", "-U", "--test", "--ignorearch", "--ignoreos",
		write("provider", dependencies(1047, 1112, 1113, provides)...),
		write("requirer", dependencies(1049, 1048, 1050, requires)...))
	satisfied := 0
	for i, r := range requires {
		failed := strings.Contains(out, "\t"+r.String()+" is needed by requirer-1-1.noarch")
		require.Equal(t, !failed, r.SatisfiedBy(provides[i]), "%s provided as %s\n", r, provides[i])
		if !failed {
			satisfied++
		}
	}
	require.Greater(t, satisfied, 500)
	require.Greater(t, len(requires)-satisfied, 500)

	require.False(t, rpm.Dependency{Name: "a"}.SatisfiedBy(rpm.Dependency{Name: "b"}))
	require.True(t, rpm.Dependency{Name: "(a or b)"}.Rich())
}

// dependencies are the three entries that hold a list of dependencies.
func dependencies(name, flags, version uint32, list []rpm.Dependency) []rpmtest.Entry {
	var names, versions []string
	var senses []uint32
	for _, d := range list {
		names, versions, senses = append(names, d.Name), append(versions, d.Version), append(senses, uint32(d.Flags))
	}
	return []rpmtest.Entry{rpmtest.Texts(name, names...), rpmtest.Int32s(flags, senses...), rpmtest.Texts(version, versions...)}
}

func TestDependencyString(t *testing.T) {
	for want, d := range map[string]rpm.Dependency{
		"a":          {Name: "a"},
		"a < 1":      {Name: "a", Flags: less, Version: "1"},
		"a <= 1:2-3": {Name: "a", Flags: atMost | rpm.ScriptPost, Version: "1:2-3"},
		"a = 1":      {Name: "a", Flags: equal, Version: "1"},
		"a >= 1":     {Name: "a", Flags: atLeast, Version: "1"},
		"a > 1":      {Name: "a", Flags: greater, Version: "1"},
		"(a or b)":   {Name: "(a or b)"},
	} {
		require.Equal(t, want, d.String())
	}
}

// FuzzDependency parses versions and compares ranges of any text: what is parsed
// is written as it was, and no range depends on which side asks.
func FuzzDependency(f *testing.F) {
	f.Add("1:2-3", "1:2", uint32(equal), uint32(atLeast))
	f.Add("0:", "-", uint32(less), uint32(greater))
	f.Add(":1~a^b-c-d", "99999999999999999999:x", uint32(atMost), uint32(0))
	f.Add("(a if b)", "1^", uint32(15), uint32(rpm.ScriptPre|rpm.MissingOK))
	f.Fuzz(func(t *testing.T, v, w string, fv, fw uint32) {
		a, b := rpm.Dependency{Name: "n", Flags: rpm.Sense(fv), Version: v}, rpm.Dependency{Name: "n", Flags: rpm.Sense(fw), Version: w}
		require.Equal(t, a.SatisfiedBy(b), b.SatisfiedBy(a))
		require.True(t, a.SatisfiedBy(rpm.Dependency{Name: "n"}))
		_, _, _ = a.String(), a.Rich(), a.Flags.Operator()
		e := a.EVR()
		if e.Release != "" || !strings.Contains(e.Version, "-") { // all but those with nothing after the last dash
			require.Equal(t, e, rpm.ParseEVR(e.String()), "%q", v)
		}
		o := b.EVR()
		require.Equal(t, e.Compare(o), -o.Compare(e))
	})
}
