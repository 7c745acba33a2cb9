package rpm_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/repo/rpm"
	"github.com/ohpc-build/ohpc-build/repo/rpm/rpmtest"
)

// versions are pairs and how the first compares with the second.
var versions = []struct {
	a, b string
	want int
}{
	// rpm's own tests (rpm: tests/rpmvercmp.at) and their like.
	{"1.0", "1.0", 0},
	{"1.0", "2.0", -1},
	{"2.0", "1.0", 1},
	{"2.0.1", "2.0.1", 0},
	{"2.0", "2.0.1", -1},
	{"2.0.1a", "2.0.1a", 0},
	{"2.0.1a", "2.0.1", 1},
	{"2.0.1", "2.0.1a", -1},
	{"5.5p1", "5.5p1", 0},
	{"5.5p1", "5.5p2", -1},
	{"5.5p10", "5.5p1", 1},
	{"10xyz", "10.1xyz", -1},
	{"xyz10", "xyz10.1", -1},
	{"xyz.4", "8", -1},
	{"8", "xyz.4", 1},
	{"xyz.4", "2", -1},
	{"5.5p2", "5.6p1", -1},
	{"5.6p1", "6.5p1", -1},
	{"6.0.rc1", "6.0", 1},
	{"10b2", "10a1", 1},
	{"1.0aa", "1.0a", 1},
	{"1.0a", "1.0aa", -1},
	{"10.0001", "10.1", 0},
	{"10.0001", "10.0039", -1},
	{"4.999.9", "5.0", -1},
	{"20101121", "20101122", -1},
	{"2_0", "2.0", 0},
	{"2_0", "2_0", 0},
	{"a", "a+", 0},
	{"a+", "a_", 0},
	{"+a", "_a", 0},
	{"+_", "_+", 0},
	{"+", "_", 0},
	{"1.0~rc1", "1.0~rc1", 0},
	{"1.0~rc1", "1.0", -1},
	{"1.0", "1.0~rc1", 1},
	{"1.0~rc1", "1.0~rc2", -1},
	{"1.0~rc1~git123", "1.0~rc1", -1},
	{"1.0^", "1.0", 1},
	{"1.0", "1.0^", -1},
	{"1.0^git1", "1.0^git2", -1},
	{"1.0^git1", "1.01", -1},
	{"1.0^20160101", "1.0.1", -1},
	{"1.0^20160101^git1", "1.0^20160102", -1},
	{"1.0~rc1^git1", "1.0~rc1", 1},
	{"1.0^git1~pre", "1.0^git1", -1},
	{"1.0~", "1.0~~", 1},
	{"~", "", -1},
	{"^", "", 1},
	{"~", "^", -1},
	{"1^", "1~", 1},
	{"1.^1", "1^1", 0},
	// What OpenHPC has.
	{"3.8pre", "3.8", 1},
	{"3.8~git20170829.74ad08d", "3.8", -1},
	{"3.7^git20170829.74ad08d", "3.7", 1},
	{"3.7^git20170829.74ad08d", "3.7.1", -1},
	{"0.r1686", "0.r999", 1},
	{"320.ohpc.1.1", "320.ohpc.2.1", -1},
	{"1320.ohpc", "127.ohpc", 1},
	// Numbers that fit nowhere, zeros, nothing.
	{"18446744073709551617", "18446744073709551616", 1},
	{"00000000000000000000000001", "1", 0},
	{"0", "00", 0},
	{"1.0", "1", 1},
	{"1.", "1", 0},
	{"", "0", -1},
	{"", "", 0},
	{"A", "a", -1},
	{"Z", "a", -1},
	{"1é2", "1.2", 0},
	{"é", "", 0},
	{"1.0-1", "1.0.1", 0},
}

// evrs are pairs with epochs and releases.
var evrs = []struct {
	a, b string
	want int
}{
	{"1-1", "1-1", 0},
	{"1-1", "1-2", -1},
	{"1:1-1", "2-1", 1},
	{"0:1-1", "1-1", 0},
	{":1-1", "1-1", 0},
	{"00:1", "0:1", 0},
	{"10:1", "9:99", 1},
	{"1", "1-1", -1},
	{"1-1~rc", "1-1", -1},
	{"1:1.0~rc2-4^git", "1:1.0-1", -1},
	{"a:1", "1", -1},
	{"1-2-3", "1-3", 1},
	{"99999999999999999999:1", "1:1", 1},
}

func TestCompareVersions(t *testing.T) {
	for _, v := range versions {
		require.Equal(t, v.want, rpm.CompareVersions(v.a, v.b), "%q %q", v.a, v.b)
		require.Equal(t, -v.want, rpm.CompareVersions(v.b, v.a), "%q %q", v.b, v.a)
	}
	for _, v := range evrs {
		require.Equal(t, v.want, rpm.ParseEVR(v.a).Compare(rpm.ParseEVR(v.b)), "%q %q", v.a, v.b)
		require.Equal(t, -v.want, rpm.ParseEVR(v.b).Compare(rpm.ParseEVR(v.a)), "%q %q", v.b, v.a)
	}
}

func TestParseEVR(t *testing.T) {
	for s, want := range map[string]rpm.EVR{
		"":            {},
		"1":           {Version: "1"},
		"1-2":         {Version: "1", Release: "2"},
		"3:1-2":       {Epoch: "3", Version: "1", Release: "2"},
		":1":          {Epoch: "0", Version: "1"},
		"x:1":         {Version: "x:1"},
		"1-2-3":       {Version: "1-2", Release: "3"},
		"1:2:3":       {Epoch: "1", Version: "2:3"},
		"1.0~rc1-4^g": {Version: "1.0~rc1", Release: "4^g"},
	} {
		require.Equal(t, want, rpm.ParseEVR(s), s)
		if s != ":1" {
			require.Equal(t, s, rpm.ParseEVR(s).String())
		}
	}
}

// TestCompareAgainstRPM asks rpm for every pair of the tables in one run.
func TestCompareAgainstRPM(t *testing.T) {
	var script, want strings.Builder
	ask := func(a, b string, ours int) {
		fmt.Fprintf(&script, "print(rpm.vercmp(%s,%s)..'\\n')\n", luaString(a), luaString(b))
		fmt.Fprintln(&want, ours)
	}
	asked := 0
	for _, v := range versions {
		// rpm.vercmp reads an EVR and refuses an empty one.
		if v.a != "" && v.b != "" && !strings.Contains(v.a, "-") {
			ask(v.a, v.b, rpm.CompareVersions(v.a, v.b))
			asked++
		}
	}
	for _, v := range evrs {
		ask(v.a, v.b, rpm.ParseEVR(v.a).Compare(rpm.ParseEVR(v.b)))
	}
	require.Greater(t, asked, 60)
	require.Equal(t, want.String(), strings.TrimSuffix(rpmtest.Run(t, "rpm", "--eval", "%{lua:"+script.String()+"}"), "\n"))
}

// luaString keeps macro expansion and Lua away from a string's bytes.
func luaString(s string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		fmt.Fprintf(&b, "\\%03d", c)
	}
	return "'" + b.String() + "'"
}

func FuzzCompare(f *testing.F) {
	for _, v := range versions {
		f.Add(v.a, v.b)
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		require.Equal(t, rpm.CompareVersions(a, b), -rpm.CompareVersions(b, a))
		require.Zero(t, rpm.CompareVersions(a, a))
		x, y := rpm.ParseEVR(a), rpm.ParseEVR(b)
		require.Equal(t, x.Compare(y), -y.Compare(x))
	})
}
