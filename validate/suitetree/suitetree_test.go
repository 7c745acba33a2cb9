package suitetree

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/validate"
)

func TestAreas(t *testing.T) {
	const configure = `AC_ARG_ENABLE([all], [x], [], [])
   AC_ARG_ENABLE([long],[x])
AC_ARG_ENABLE([hdf5], [AS_HELP_STRING([--enable-hdf5],[x])],[],
AC_ARG_ENABLE([phdf5],
AC_ARG_ENABLE([superlu_dist],
AC_ARG_ENABLE([R],
AC_ARG_ENABLE([numpy],
AC_ARG_ENABLE([mpi],
AC_ARG_ENABLE([compilers],
AC_ARG_ENABLE([modules],
AC_ARG_ENABLE([autotools],
AC_ARG_ENABLE([petsc],
# AC_ARG_ENABLE([commented],
AC_ARG_ENABLE([$(touch x)],
`
	packages := []string{
		"R-gnu14-ohpc", "gnu14-compilers-ohpc", "hdf5-gnu14-ohpc", "lmod-ohpc", "ohpc-autotools", "ohpc-base", "openmpi5-pmix-gnu14-ohpc",
		"phdf5-gnu14-openmpi5-ohpc", "python3-numpy-gnu14-ohpc", "superlu_dist-gnu14-openmpi5-ohpc",
	}
	require.Equal(t, Families{Compilers: []string{"gnu14"}, MPIs: []string{"openmpi5"}}, FamiliesOf(packages))
	require.Equal(t, []Area{
		{"hdf5", []string{"hdf5-gnu14-ohpc"}},
		{"phdf5", []string{"phdf5-gnu14-openmpi5-ohpc"}},
		{"superlu_dist", []string{"superlu_dist-gnu14-openmpi5-ohpc"}},
		{"R", []string{"R-gnu14-ohpc"}},
		{"numpy", []string{"python3-numpy-gnu14-ohpc"}},
		{"mpi", []string{"openmpi5-pmix-gnu14-ohpc"}},
		{"compilers", []string{"gnu14-compilers-ohpc"}},
		{"modules", []string{"lmod-ohpc"}},
		{"autotools", []string{"ohpc-autotools"}},
	}, Areas(configure, packages))
	require.Empty(t, Areas(configure, []string{"bash"}))
}

func TestResults(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
	}
	write("libs/a.log.xml", `<?xml version="1.0"?><testsuites><testsuite name="s">
<testcase classname="A" name="one" time="1.5"/>
<testcase classname="A" name="two"><failure type="failure">the cause</failure></testcase>
<testcase name="three"><skipped>no GPU</skipped></testcase>
<testcase name="four"><skipped/></testcase>
<testcase name="five" time="NaN"><error message="broken"/></testcase></testsuite></testsuites>`)
	write("bad.log.xml", `<testcase name="before"/><testcase name="cut`)
	write("other.xml", `<testcase name="not a result"/>`)
	require.NoError(t, os.Symlink("/etc/passwd", filepath.Join(dir, "link.log.xml")))
	cases, problems, err := results(dir)
	require.NoError(t, err)
	require.Len(t, problems, 1)
	require.Contains(t, problems[0], "the results in bad.log.xml")
	var told []string
	for _, c := range cases {
		told = append(told, fmt.Sprintf("%s %s %s", c.Outcome, c.Name, c.Reason))
	}
	require.Equal(t, []string{
		"pass .: before ", "pass libs: A: one ", "fail libs: A: two the cause", "skip libs: three no GPU",
		"fail libs: four it was skipped and no reason was given", "fail libs: five broken",
	}, told)
	cases, _, err = results(filepath.Join(dir, "nowhere"))
	require.NoError(t, err)
	require.Empty(t, cases)
}

func TestVerdict(t *testing.T) {
	pass, fail, skip := validate.Case{Name: "p", Outcome: validate.Pass}, validate.Case{Name: "f", Outcome: validate.Fail, Reason: "r"}, validate.Case{Name: "s", Outcome: validate.Skip}
	broken := fmt.Errorf("exit status 2")
	require.NoError(t, verdict([]validate.Case{pass, skip}, nil, nil))
	require.EqualError(t, verdict([]validate.Case{pass, fail}, nil, broken), "1 of 2 tests failed\nf: r")
	require.ErrorContains(t, verdict([]validate.Case{pass}, nil, broken), "no test failed, but make check: exit status 2")
	require.ErrorContains(t, verdict(nil, nil, nil), "no result of any test")
	require.ErrorIs(t, verdict(nil, nil, broken), broken)
	require.ErrorContains(t, verdict([]validate.Case{pass}, []string{"unreadable"}, nil), "unreadable")
	require.ErrorAs(t, verdict([]validate.Case{skip}, nil, nil), new(*validate.SkipError))
}

func TestConfigure(t *testing.T) {
	text, err := Configure("testdata/tree")
	require.NoError(t, err)
	require.Equal(t, []string{"hwloc", "modules", "petsc"}, options(text))
	_, err = Configure(t.TempDir())
	require.ErrorContains(t, err, "it is the folder tests of an OpenHPC checkout that is wanted")
}

// FuzzResults reads what hostile tests leave: in bounds, and every case that is not
// passed says why.
func FuzzResults(f *testing.F) {
	f.Add(`<testsuite><testcase name="a" time="1e300"><failure/></testcase></testsuite>`)
	f.Add(`<testcase><testcase name="b"/><skipped message="m"/></testcase>`)
	f.Fuzz(func(t *testing.T, text string) {
		cases, _ := read(strings.NewReader(text), "w", 10)
		require.LessOrEqual(t, len(cases), 10)
		for _, c := range cases {
			require.True(t, c.Outcome == validate.Pass || c.Reason != "")
			require.GreaterOrEqual(t, c.Duration, 0*c.Duration)
		}
	})
}
