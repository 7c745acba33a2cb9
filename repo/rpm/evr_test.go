package rpm_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
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
	// Tildes: before everything, the end included; more of them earlier still.
	{"1~", "1", -1},
	{"1~~", "1", -1},
	{"1~~", "1~", -1},
	{"1~~a", "1~a", -1},
	{"1~a", "1~b", -1},
	{"1~1", "1~a", 1},
	{"1~rc1", "1~rc01", 0},
	{"1~rc9", "1~rc10", -1},
	{"1~rc.1", "1~rc1", 0},
	{"1.~rc1", "1~rc1", 0},
	{"1~.rc1", "1~rc1", 0},
	{"1~rc1.", "1~rc1", 0},
	{"1~rc1", "1~rc1.0", -1},
	{"1~beta", "1~rc", -1},
	{"1~beta", "1.beta", -1},
	{"1~0", "1", -1},
	{"1~0", "1.0", -1},
	{"1~0", "0.9", 1},
	{"~1", "1", -1},
	{"~1", "~2", -1},
	{"~1", "0", -1},
	{"~1", "a", -1},
	{"~~", "~", -1},
	{"~a", "~", 1},
	{"~0", "~", 1},
	{"a~", "a", -1},
	{"a~1", "a1", -1},
	{"1.2~3", "1.2.3", -1},
	{"1.2~3", "1.1.9", 1},
	{"1~1~1", "1~1", -1},
	{"1~1.1", "1~1", 1},
	{"2~1", "1", 1},
	{"1~2~3", "1~2~4", -1},
	// Carets: after the end, before whatever else goes on.
	{"1^", "1^^", -1},
	{"1^", "1^a", -1},
	{"1^a", "1^b", -1},
	{"1^1", "1^a", 1},
	{"1^2", "1^10", -1},
	{"1^02", "1^2", 0},
	{"1^", "1.0", -1},
	{"1^", "1a", -1},
	{"1^", "1.a", -1},
	{"1^", "2", -1},
	{"1^", "1.", 1},
	{"1^.", "1^", 0},
	{"1.^", "1^", 0},
	{"1^a^b", "1^a", 1},
	{"1^a^b", "1^b", -1},
	{"1^a~b", "1^a", -1},
	{"1^a~b", "1", 1},
	{"1~a^b", "1~a", 1},
	{"1~a^b", "1", -1},
	{"1~^", "1~", 1},
	{"1^~", "1^", -1},
	{"1^~", "1", 1},
	{"1^~", "1~^", 1},
	{"^1", "1", -1},
	{"^1", "^2", -1},
	{"^", "^^", -1},
	{"^a", "a", -1},
	{"^", "~", 1},
	{"^~", "~^", 1},
	// Snapshots of OpenHPC's, before and after releases.
	{"3.8~git20170829.74ad08d", "3.7", 1},
	{"3.8~git20170829.74ad08d", "3.8~rc1", -1},
	{"3.7^git20170829.74ad08d", "3.8~git20170829.74ad08d", -1},
	{"3.7^1.git20170829.74ad08d", "3.7^2.git20170829.04ad08d", -1},
	{"3.7^9.git20170830.f000000", "3.7^10.git20170829.0000000", -1},
	{"3.8~9.git20170830.f000000", "3.8~10.git20170829.0000000", -1},
	{"3.7^12.git20170829.74ad08d", "3.7.1", -1},
	{"3.7^12.git20170829.74ad08d", "3.8", -1},
	{"3.7^12.git20170829.74ad08d", "3.7", 1},
	{"3.7^12.git20170829.74ad08d", "3.7^git20990101.fffffff", 1},
	{"3.7rc1^12.git20170829.74ad08d", "3.7rc1", 1},
	// A commit's hash in a version decides by chance: digits are newer than letters.
	{"1^git20170829.74ad08d", "1^git20170829.e4ad08d", 1},
	{"1^git20170829.0000001", "1^git20170829.000000a", 1},
	{"1^git20170829.1e5", "1^git20170829.1e10", -1},
	// Letters and digits.
	{"1a", "1", 1},
	{"1a", "1.1", -1},
	{"1a", "1.a", 0},
	{"1a1", "1a", 1},
	{"1a1", "1.a.1", 0},
	{"a1", "a", 1},
	{"a", "1", -1},
	{"a", "0", -1},
	{"z", "0", -1},
	{"a1", "1a", -1},
	{"a1", "a01", 0},
	{"a9", "a10", -1},
	{"ab", "abc", -1},
	{"abc", "abd", -1},
	{"abc", "ABC", 1},
	{"aB", "ab", -1},
	{"Zz", "aa", -1},
	{"1.0.rc1", "1.0.1", -1},
	{"1.0.alpha", "1.0.beta", -1},
	{"1.0.post1", "1.0", 1},
	{"1.0p1", "1.0.1", -1},
	{"2.34b", "2.34a", 1},
	{"r1000", "r999", 1},
	{"v1.0", "1.0", -1},
	{"v2", "v10", -1},
	{"1x2x3", "1x2x4", -1},
	{"1x2x3", "1x2", 1},
	{"1x2", "1x2y", -1},
	// Leading zeros, and numbers of any length.
	{"01", "1", 0},
	{"1.01", "1.1", 0},
	{"1.001", "1.1", 0},
	{"1.010", "1.10", 0},
	{"1.010", "1.1", 1},
	{"1.0", "1.00", 0},
	{"1.00", "1.000", 0},
	{"0.0", "0", 1},
	{"000", "0", 0},
	{"000", "a", 1},
	{"0", "", 1},
	{"00a", "0a", 0},
	{"a00", "a0", 0},
	{"a0", "a", 1},
	{"2147483648", "2147483647", 1},
	{"4294967296", "1", 1},
	{"4294967297", "1", 1},
	{"9999999999999999999999999999", "10000000000000000000000000000", -1},
	{"0009999999999999999999999999999", "9999999999999999999999999999", 0},
	{"1.99999999999999999999", "1.100000000000000000000", -1},
	// Separators: any and any number of them, and none at the ends.
	{"1.2", "1..2", 0},
	{"1.2", "1_2", 0},
	{"1.2", "1+2", 0},
	{"1.2", "1 2", 0},
	{"1.2", "1,2", 0},
	{"1.2", "1.+_2", 0},
	{".1", "1", 0},
	{"..", ".", 0},
	{".", "", 0},
	{".", "0", -1},
	{".", "a", -1},
	{".", "~", 1},
	{".", "^", -1},
	{"1.", "1..", 0},
	{"1.", "1.0", -1},
	{"1.", "1a", -1},
	{"1.", "1~", 1},
	{"1.2.3", "1.2_3", 0},
	{"1.2.3", "12.3", -1},
	{"1.23", "12.3", -1},
	{"a.b", "ab", -1},
	{"1+git2", "1.git2", 0},
	{"1+git2", "1+git10", -1},
	{"2024.08.1", "2024.8.1", 0},
	{"2021.1.0.2659", "2021.1.0.2660", -1},
	{"1!2", "1.2", 0},
	{"1@2", "1#2", 0},
	{"1[2", "1`2", 0},
	{"1{2", "1/2", 0},
	// Not ASCII: separators all, whatever they mean elsewhere.
	{"1é", "1", 0},
	{"é1", "1", 0},
	{"1éa", "1a", 0},
	{"é", "è", 0},
	{"é", "0", -1},
	{"é", "a", -1},
	{"é", "~", 1},
	{"٣", "3", -1},
	{"١", "٢", 0},
	{"Ⅳ", "ⅳ", 0},
	{"１", "1", -1},
	{"1\x80", "1", 0},
	{"1\xff2", "1.2", 0},
	{"\xc3", "\xe9", 0},
	{"1～2", "1.2", 0},
	{"1\u00a02", "1.2", 0},
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
	{"1:", "1:0", -1},
	{"1:", "1:", 0},
	{"1:1", "01:1", 0},
	{"1:1", "001:1.0", -1},
	{"0:2", "1:1", -1},
	{"1:~", "0:1", 1},
	{"1:~", "1:1", -1},
	{"1:1^", "1:1", 1},
	{"2:0", "1:99", 1},
	{"~1:1", "1", -1},
	{"1~:1", "1", -1},
	{"1.0:1", "1.0", 1},
	{"1:1:1", "1:1", 1},
	{"1:1-1", "1:1-1.1", -1},
	{"1-1^", "1-1", 1},
	{"1-1^", "1-1.1", -1},
	{"1-~", "1-1", -1},
	{"1-1", "1.1-0", -1},
	{"1~-9", "1-1", -1},
	{"1^-1", "1-9", 1},
	{"-1", "1", -1},
	{"-1", "-2", -1},
	{"1-é", "1-.", 0},
	{"1-320.ohpc.1.1", "1-320.ohpc.1.10", -1},
	{"1-150500.ohpc.1.1", "1-320.ohpc.9.9", 1},
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

// TestCompareAgainstRPM asks rpm for every pair of the tables in one run, and for
// as many random ones.
func TestCompareAgainstRPM(t *testing.T) {
	require.GreaterOrEqual(t, len(versions)+len(evrs), 200)
	var pairs [][2]string
	for _, v := range versions {
		// rpm.vercmp reads an EVR and refuses an empty one.
		if v.a != "" && v.b != "" && !strings.Contains(v.a, "-") {
			pairs = append(pairs, [2]string{v.a, v.b})
		}
	}
	for _, v := range evrs {
		pairs = append(pairs, [2]string{v.a, v.b})
	}
	require.GreaterOrEqual(t, len(pairs), 200)
	pairs = append(pairs, randomPairs(20_000)...)

	var questions strings.Builder
	for _, p := range pairs {
		fmt.Fprintf(&questions, "%s\t%s\n", p[0], p[1])
	}
	path := filepath.Join(t.TempDir(), "pairs")
	require.NoError(t, os.WriteFile(path, []byte(questions.String()), 0o600))
	script := "for line in io.lines(" + luaString(path) + ") do local a, b = line:match('^([^\t]*)\t(.*)$') print(rpm.vercmp(a, b)..'\\n') end"
	answers := strings.Fields(rpmtest.Run(t, "rpm", "--eval", "%{lua:"+script+"}"))
	require.Equal(t, len(pairs), len(answers), "rpm's answers")
	seen := map[string]int{}
	for i, p := range pairs {
		ours := strconv.Itoa(rpm.ParseEVR(p[0]).Compare(rpm.ParseEVR(p[1])))
		require.Equal(t, answers[i], ours, "%q %q", p[0], p[1])
		seen[ours]++
	}
	for _, answer := range []string{"-1", "0", "1"} {
		require.Greater(t, seen[answer], 1000, "pairs that compare as %s", answer)
	}
}

// randomPairs makes pairs of strings out of what versions treat specially. Half
// of them are one string with a change in it: two unrelated ones mostly differ
// at once.
func randomPairs(n int) [][2]string {
	pieces := []string{
		"0", "1", "2", "9", "00", "01", "10", "18446744073709551616",
		"a", "b", "z", "A", "Z", "rc", "git", ".", ".", "..", "_", "+", " ", "é", "\xff",
		"~", "~", "~~", "^", "^", "^^", "~^", "^~", "-", ":", "1:", "-1",
	}
	random := rand.New(rand.NewPCG(3, 8)) //nolint:gosec // the same pairs each time
	word := func() []string {
		w := make([]string, 1+random.IntN(8))
		for i := range w {
			w[i] = pieces[random.IntN(len(pieces))]
		}
		return w
	}
	pairs := make([][2]string, 0, n)
	for len(pairs) < n {
		a, b := word(), word()
		if random.IntN(2) == 0 {
			b = slices.Clone(a)
			switch at := random.IntN(len(b)); random.IntN(3) {
			case 0:
				b[at] = pieces[random.IntN(len(pieces))]
			case 1:
				b = slices.Delete(b, at, at+1)
			default:
				b = slices.Insert(b, at, pieces[random.IntN(len(pieces))])
			}
		}
		x, y := strings.Join(a, ""), strings.Join(b, "")
		// No package has an empty release; see [rpm.ParseEVR].
		if x == "" || y == "" || strings.HasSuffix(x, "-") || strings.HasSuffix(y, "-") {
			continue
		}
		pairs = append(pairs, [2]string{x, y})
	}
	return pairs
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
