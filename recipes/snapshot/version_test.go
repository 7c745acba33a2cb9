package snapshot_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/recipes"
	"github.com/ohpc-build/ohpc-build/repo/rpm/rpmtest"
)

func TestLock(t *testing.T) {
	u := newUpstream(t)
	first := u.commit("", day(1))
	release := u.commit("", day(2), first)
	u.annotated("v3.7", release)
	u.tag("stable", release)
	one := u.commit("", time.Date(2017, 8, 30, 1, 0, 0, 0, time.FixedZone("", 7200)), release)
	two := u.commit("", day(30), one)
	evening := u.commit("", day(30).Add(6*time.Hour), two)
	later := u.commit("", day(31), evening)
	r := u.open()
	short := func(h plumbing.Hash) string { return h.String()[:7] }

	c, err := r.Commit(t.Context(), one.String())
	require.NoError(t, err)
	lock, err := r.Lock(t.Context(), c, "")
	require.NoError(t, err)
	require.Equal(t, &recipes.Lock{
		Commit: one.String(), Date: recipes.Timestamp{Time: time.Date(2017, 8, 29, 23, 0, 0, 0, time.UTC)},
		Tag: "v3.7", Since: 1, Total: 3, Version: "3.7^git20170829." + short(one),
	}, lock)

	require.Equal(t, "3.8~git20170829."+short(one), u.version(r, one, "3.8"))
	require.Equal(t, "3.7^git20170830."+short(two), u.version(r, two, ""))
	require.Equal(t, "3.8~git20170830."+short(two), u.version(r, two, "3.8"))
	require.Equal(t, "3.7^3.git20170830."+short(evening), u.version(r, evening, ""), "the second of the day is counted")
	require.Equal(t, "3.8~5.git20170830."+short(evening), u.version(r, evening, "3.8"))
	require.Equal(t, "3.7^4.git20170831."+short(later), u.version(r, later, ""), "and so is what comes after")
	require.Equal(t, "3.7", u.version(r, release, ""))
	require.Equal(t, "0~git20170801."+short(first), u.version(r, first, ""))

	// The release that was announced comes out.
	u.tag("3.8", later)
	after := u.commit("", day(31), later)
	require.Equal(t, "3.8", u.version(r, later, "3.8"))
	require.Equal(t, "3.8^git20170831."+short(after), u.version(r, after, "3.8"))
}

// An older release that is merged is the nearest tag, but not the newest.
func TestMergedMaintenance(t *testing.T) {
	u := newUpstream(t)
	base := u.commit("", day(1))
	u.tag("v3.7", base)
	main := u.commit("", day(2), base)
	u.tag("v3.8", main)
	main = u.commit("", day(3), main)
	fix := u.commit("", day(4), base)
	u.tag("v3.7.1", fix)
	merge := u.commit("", day(5), fix, main)
	require.Equal(t, "3.8^git20170805."+merge.String()[:7], u.version(u.open(), merge, ""))
}

// graph is an upstream whose every commit knows all that led to it.
type graph struct {
	*upstream
	commits   []plumbing.Hash
	ancestors map[plumbing.Hash]map[plumbing.Hash]bool
}

func (g *graph) add(when time.Time, parents ...plumbing.Hash) plumbing.Hash {
	hash := g.commit("", when, parents...)
	all := map[plumbing.Hash]bool{}
	for _, p := range parents {
		all[p] = true
		for a := range g.ancestors[p] {
			all[a] = true
		}
	}
	g.commits = append(g.commits, hash)
	g.ancestors[hash] = all
	return hash
}

// busy is a history of many commits a day, branches and merges, clocks that go
// wrong, releases, candidates, and a release with two tags.
func busy(t testing.TB, seed uint64) *graph {
	random := rand.New(rand.NewPCG(seed, 7)) //nolint:gosec // the same histories each time
	g := &graph{upstream: newUpstream(t), ancestors: map[plumbing.Hash]map[plumbing.Hash]bool{}}
	when := day(1)
	g.add(when)
	heads := []plumbing.Hash{g.commits[0]}
	tags := []string{"v3.6", "v3.7", "3.7", "v3.7.1", "3.8-rc1", "v3.8", "nonsense", "v3.8.1"}
	every := 6 + random.IntN(3)
	for i := 1; i < 56; i++ {
		when = when.Add(time.Duration(random.IntN(20)-2) * time.Hour)
		clock := when
		if random.IntN(6) == 0 {
			clock = clock.AddDate(0, 0, -random.IntN(40))
		}
		at := random.IntN(len(heads))
		parents := []plumbing.Hash{heads[at]}
		switch other := random.IntN(len(heads)); {
		case random.IntN(5) == 0 && len(heads) < 4:
			heads = append(heads, heads[at])
		case random.IntN(3) == 0 && other != at:
			parents = append(parents, heads[other])
		}
		heads[at] = g.add(clock, parents...)
		if i%every == 0 && len(tags) > 0 {
			g.tag(tags[0], heads[at])
			tags = tags[1:]
		}
	}
	g.add(when, heads...)
	return g
}

// quiet is a history of at most one commit a day.
func quiet(t testing.TB) *graph {
	g := &graph{upstream: newUpstream(t), ancestors: map[plumbing.Hash]map[plumbing.Hash]bool{}}
	at := g.add(day(1))
	for n := 2; n < 20; n++ {
		at = g.add(day(n), at)
		if n == 5 {
			g.tag("v3.7", at)
		}
	}
	g.add(day(19).Add(time.Hour), at)
	g.add(day(3), g.commits[len(g.commits)-1])
	return g
}

// TestHistoryIsTheOrder asks rpm itself: of two commits of which one led to the
// other, the version of the later one is the newer one.
func TestHistoryIsTheOrder(t *testing.T) {
	graphs := map[string]*graph{"quiet": quiet(t)}
	for seed := range uint64(4) {
		graphs[fmt.Sprintf("busy %d", seed)] = busy(t, seed)
	}
	var questions strings.Builder
	var asked []string
	forms := map[string]int{}
	for name, g := range graphs {
		r := g.open()
		for _, next := range []string{"", "3.8"} {
			versions := map[plumbing.Hash]string{}
			for _, hash := range g.commits {
				v := g.version(r, hash, next)
				if next != "" && !strings.HasPrefix(v, next) {
					// A release older than the next one, which was not yet the
					// next one then: its version is its own.
					require.NotContains(t, v, "git")
					continue
				}
				versions[hash] = v
				plain := strings.Contains(v, "^git") || strings.Contains(v, "~git")
				forms[fmt.Sprintf("plain %v, snapshot %v", plain, strings.Contains(v, "git"))]++
			}
			for later, v := range versions {
				for earlier := range g.ancestors[later] {
					if old, ok := versions[earlier]; ok {
						fmt.Fprintln(&questions, old, v)
						asked = append(asked, fmt.Sprintf("%s, next %q: %s before %s", name, next, old, v))
					}
				}
			}
		}
	}
	require.Greater(t, len(asked), 5000)
	require.Len(t, forms, 3, "releases, plain and counted snapshots: %v", forms)
	path := filepath.Join(t.TempDir(), "pairs")
	require.NoError(t, os.WriteFile(path, []byte(questions.String()), 0o600))
	answers := strings.Fields(rpmtest.Run(t, "rpm", "--eval",
		"%{lua:for line in io.lines('"+path+"') do local a, b = line:match('^(.*) (.*)$') print(rpm.vercmp(a, b)..'\\n') end}"))
	require.Equal(t, len(asked), len(answers))
	for i, answer := range answers {
		require.Equal(t, "-1", answer, asked[i])
	}
}
