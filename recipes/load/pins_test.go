package load_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/recipes"
	"github.com/ohpc-build/ohpc-build/recipes/load"
	"github.com/ohpc-build/ohpc-build/recipes/strict"
)

const (
	pin      = "pins/tree.yaml"
	follower = "components/libs/follower/recipe.yaml"
	commit   = "74ad08d123456789012345678901234567890123"
)

// following is the correct catalogue with a pin, and two recipes that follow it.
func following() map[string]string {
	files := tree()
	files[pin] = `url: https://example.org/tree.git
branch: development
next: "3.8"
lock:
  commit: "` + commit + `"
  date: "2017-08-29T23:59:59Z"
  tag: "v3.7"
  since: 12
  total: 1207
  version: "3.8~1207.git20170829.74ad08d"
`
	recipe := `name: follower
kind: component
group: libs
summary: One of several from one tree
sources:
  - file: tree.tar.gz
    git: {pin: tree, prefix: tree}
  - file: tree-again.tar.gz
    git: {pin: tree, prefix: again}
`
	files[follower] = recipe
	files["components/libs/follower/SPECS/follower.spec"] = "Version: %{pin_version}\n"
	files["components/libs/second/recipe.yaml"] = strings.Replace(recipe, "follower", "second", 1)
	files["components/libs/second/SPECS/second.spec"] = "Version: %{pin_version}\n"
	return files
}

func TestOnePinForManyRecipes(t *testing.T) {
	c, err := load.FS(mapFS(following()))
	require.NoError(t, err)
	p, err := c.Pin("tree")
	require.NoError(t, err)
	var names []string
	for _, r := range c.Followers(p) {
		names = append(names, r.Name)
		require.Equal(t, &recipes.Git{Pin: "tree", URL: "https://example.org/tree.git", Commit: commit, Prefix: "tree"}, r.Fetched[0].Git)
		variants, _ := c.Expand(r, c.Targets[0], "x86_64")
		require.Len(t, variants, 1)
		require.Subset(t, variants[0].Defines, []recipes.Define{{Name: "pin_commit", Value: commit}, {Name: "pin_version", Value: "3.8~1207.git20170829.74ad08d"}})
	}
	require.Equal(t, []string{"follower", "second"}, names)

	probe, err := c.Recipe("probe")
	require.NoError(t, err)
	variants, _ := c.Expand(probe, c.Targets[0], "x86_64")
	for _, d := range variants[0].Defines {
		require.NotContains(t, d.Name, "pin_", "a recipe without a pin has no macros of one")
	}

	// A bump is a change of every recipe that follows, and of no other.
	bumped := following()
	bumped[pin] = strings.ReplaceAll(bumped[pin], "74ad08d", "84ad08d")
	after, err := load.FS(mapFS(bumped))
	require.NoError(t, err)
	for i, r := range c.Recipes {
		before, err := c.Digest(r)
		require.NoError(t, err)
		now, err := after.Digest(after.Recipes[i])
		require.NoError(t, err)
		require.Equal(t, r.Pin == nil, before == now, r.Name)
	}
}

func TestPinProblems(t *testing.T) {
	const anew = " (ohpc-build recipe bump tree writes the lock anew; it is not to be edited)"
	tests := map[string]struct {
		file, old, new string
		want           string
	}{
		"no address":       {pin, "url: https://example.org/tree.git\n", "", pin + `:1:1: "url" is missing`},
		"unknown key":      {pin, "branch:", "brunch:", pin + `:2:1: unknown key "brunch" (did you mean "branch"?)`},
		"bad next":         {pin, `"3.8"`, `"3.8~rc1"`, pin + `:3:7: "3.8~rc1" is not the version of a release: a digit first, then letters, digits and . _ +`},
		"bad branch":       {pin, "development", "a b", pin + `:2:9: "a b" is not the name of a branch`},
		"edited commit":    {pin, `"74ad08d`, `"84ad08d`, pin + `:10:12: the version is "3.8~1207.git20170829.74ad08d", but the commit, its date, tag and count and the next release make 3.8~git20170829.84ad08d or 3.8~1207.git20170829.84ad08d` + anew},
		"edited version":   {pin, `"3.8~1207`, `"3.8~1208`, pin + `:10:12: the version is "3.8~1208.git`},
		"edited date":      {pin, "08-29", "08-30", pin + ":10:12: the version is"},
		"edited next":      {pin, `"3.8"`, `"3.9"`, pin + ":10:12: the version is"},
		"released":         {pin, "v3.7", "v3.8", pin + ":10:12: the version is"},
		"edited count":     {pin, "1207\n", "1206\n", pin + ":10:12: the version is"},
		"impossible count": {pin, "since: 12", "since: 1208", pin + `:8:10: 1208 of 1207 commits cannot be since the tag "v3.7"` + anew},
		"no history":       {pin, "total: 1207", "total: 0", pin + ":9:10: a history of 0 commits is none" + anew},
		"tag of nothing":   {pin, "v3.7", "stable", pin + `:7:8: tag "stable" does not name a version` + anew},
		"tag left out":     {pin, `tag: "v3.7"`, `tag: ""`, pin + `:8:10: 12 of 1207 commits cannot be since the tag ""` + anew},
		"short commit":     {pin, commit, commit[:7], pin + `:5:11: "74ad08d" is not a full commit: 40 lower-case hexadecimal digits` + anew},
		"time of no zone":  {pin, "59Z", "59+02:00", pin + `:6:9: lock.date: must be a time in UTC such as 2017-08-29T12:00:00Z, not "2017-08-29T23:59:59+02:00"`},
		"no lock":          {pin, "", "url: https://example.org/tree.git\nbranch: development\n", pin + ": the pin has no lock yet (ohpc-build recipe bump tree writes it)"},
		"no such pin":      {follower, "pin: tree, prefix: tree", "pin: tre, prefix: tree", follower + `:7:16: there is no pin "tre" (did you mean "tree"?)`},
		"pin and commit":   {follower, "pin: tree, prefix: tree", "pin: tree, commit: x, prefix: tree", follower + ":7:11: the pin tree gives the address and the commit (leave out url and commit, or the pin)"},
		"no pin, no url":   {follower, "pin: tree, prefix: tree", "prefix: tree", follower + `:7:11: "url" is missing in sources[0].git (or a pin)`},
		"no pin, no hash":  {follower, "pin: tree, prefix: tree", "url: x, prefix: tree", follower + `:7:11: "commit" is missing in sources[0].git (or a pin in place of url)`},
		"pin and digest":   {follower, "    git: {pin: tree, prefix: tree}", "    sha256: " + digest + "\n    git: {pin: tree, prefix: tree}", follower + ":7:13: the archive is another one after each bump; the commit of the pin verifies it (leave it out)"},
		"bad prefix":       {follower, "prefix: tree", "prefix: ../tree", follower + `:7:30: "../tree" is not the name of one folder`},
		"not a file":       {"pins/README", "", "x", "pins/README: only .yaml files belong here"},
		"bad name":         {"pins/a b.yaml", "", "url: x\n", `pins/a b.yaml: "a b" cannot name a pin (letters, digits and + . _ -)`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			files := following()
			if tt.old == "" {
				files[tt.file] = tt.new
			} else {
				require.Contains(t, files[tt.file], tt.old, "the case changes nothing")
				files[tt.file] = strings.Replace(files[tt.file], tt.old, tt.new, 1)
			}
			_, err := load.FS(mapFS(files))
			var problems strict.Problems
			require.ErrorAs(t, err, &problems)
			require.ErrorContains(t, err, tt.want)
			require.Len(t, problems, 1, "one mistake, one message")
		})
	}
}

func TestOnePinForEachRecipe(t *testing.T) {
	files := following()
	files["pins/other.yaml"] = files[pin]
	files[follower] = strings.Replace(files[follower], "pin: tree, prefix: again", "pin: other, prefix: again", 1)
	_, err := load.FS(mapFS(files))
	require.EqualError(t, err, follower+":9:16: the recipe follows pin tree already, and its version can come from one only (make two recipes of it)")

	files = following()
	delete(files, pin)
	delete(files, "components/libs/second/recipe.yaml")
	delete(files, "components/libs/second/SPECS/second.spec")
	files[follower] = strings.Replace(files[follower], "pin: tree, prefix: again", "url: x, commit: "+commit+", prefix: again", 1)
	_, err = load.FS(mapFS(files))
	require.EqualError(t, err, follower+`:7:16: there is no pin "tree": pins/tree.yaml is missing`)
}

// What bump mends must not keep it from being run; anything else does.
func TestToBump(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		name = filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o755))
		require.NoError(t, os.WriteFile(name, []byte(text), 0o644))
	}
	files := following()
	for name, text := range files {
		write(name, text)
	}
	for name, text := range map[string]string{
		"no lock":     "url: https://example.org/tree.git\n",
		"edited lock": strings.Replace(files[pin], "since: 12", "since: 13000", 1),
	} {
		write(pin, text)
		_, err := load.Dir(dir)
		require.Error(t, err, name)
		c, err := load.ToBump(dir)
		require.NoError(t, err, name)
		p, err := c.Pin("tree")
		require.NoError(t, err)
		require.Len(t, c.Followers(p), 2)
	}
	write(pin, "branch: development\n")
	_, err := load.ToBump(dir)
	require.ErrorContains(t, err, `"url" is missing`)
}

func TestPinAlone(t *testing.T) {
	text := following()[pin]
	p, err := load.Pin("pins/tree.yaml", []byte(text))
	require.NoError(t, err)
	require.Equal(t, "tree", p.Name)
	require.Equal(t, 12, p.Lock.Since)
	_, err = load.Pin("pins/tree.yaml", []byte(strings.Replace(text, "1207.git", "1.git", 1)))
	require.ErrorContains(t, err, "pins/tree.yaml:10:12: the version is")
}
