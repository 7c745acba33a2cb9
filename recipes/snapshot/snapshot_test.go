package snapshot_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/cgi" //nolint:gosec // serves a repository of the test to the test
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/internal/testenv"
	"github.com/ohpc-build/ohpc-build/recipes"
	"github.com/ohpc-build/ohpc-build/recipes/load"
	"github.com/ohpc-build/ohpc-build/recipes/snapshot"
	"github.com/ohpc-build/ohpc-build/recipes/source"
)

func TestRef(t *testing.T) {
	u := newUpstream(t)
	one := u.commit("", day(1))
	two := u.commit("", day(2), one)
	u.branch("development", two)
	u.branch("feature/boot", one)
	u.branch("both", two)
	u.tag("both", one)
	u.tag("again", u.annotated("v3.7", one)) // a tag of a tag
	u.tag("tree", u.tree)
	u.ref("refs/notes/secret", two)
	r := u.open()
	for name, want := range map[string]plumbing.Hash{
		"development": two, "refs/heads/development": two, "feature/boot": one, "v3.7": one, "again": one, "refs/tags/both": one,
	} {
		c, err := r.Ref(name)
		require.NoError(t, err, name)
		require.Equal(t, want.String(), c.Hash, name)
	}
	for name, want := range map[string]string{
		"developement":      `repository ` + u.dir + ` has no branch or tag "developement" (did you mean "development"?)`,
		"3.7":               `has no branch or tag "3.7" (did you mean "v3.7"?)`,
		"nothing like it":   `has no branch or tag "nothing like it"`,
		"":                  `has no branch or tag ""`,
		"refs/notes/secret": `has no branch or tag "refs/notes/secret"`,
		"HEAD~1":            `has no branch or tag "HEAD~1"`,
		"both":              "\"both\" is ambiguous; it may be\n  refs/heads/both\n  refs/tags/both",
		"tree":              "reading refs/tags/tree of " + u.dir + ": object not found",
	} {
		_, err := r.Ref(name)
		require.ErrorContains(t, err, want, name)
	}
}

func TestCommit(t *testing.T) {
	u := newUpstream(t)
	// So many that some share their first four digits.
	byPrefix := map[string][]string{}
	var last plumbing.Hash
	shared := ""
	for n := 0; shared == "" || n < 300; n++ {
		require.Less(t, n, 5000)
		last = u.commit(fmt.Sprintf("change \x1b[31m%d\u202e", n), day(1))
		p := last.String()[:4]
		if byPrefix[p] = append(byPrefix[p], last.String()); len(byPrefix[p]) > 1 {
			shared = p
		}
	}
	r := u.open()
	for _, hash := range []string{last.String(), last.String()[:12], last.String()[:11], strings.ToUpper(last.String()[:10])} {
		c, err := r.Commit(t.Context(), hash)
		require.NoError(t, err, hash)
		require.Equal(t, last.String(), c.Hash)
		require.NotContains(t, c.Subject, "\x1b", "nothing for a terminal to obey")
		require.NotContains(t, c.Subject, "\u202e")
	}
	_, err := r.Commit(t.Context(), shared)
	var ambiguous *snapshot.AmbiguousError
	require.ErrorAs(t, err, &ambiguous)
	require.Len(t, ambiguous.Choices, len(byPrefix[shared]))
	for _, hash := range byPrefix[shared] {
		require.ErrorContains(t, err, hash+" 2017-08-01 change [31m")
	}
	for hash, want := range map[string]string{
		"":                      `"" is not the hash of a commit: 4 to 40 hexadecimal digits`,
		"abc":                   `"abc" is not the hash of a commit`,
		"main":                  `"main" is not the hash of a commit`,
		last.String() + "0":     "is not the hash of a commit",
		strings.Repeat("0", 40): `repository ` + u.dir + ` has no commit "0000000000000000000000000000000000000000"`,
		u.tree.String()[:10]:    `has no commit "` + u.tree.String()[:10] + `"`,
	} {
		_, err := r.Commit(t.Context(), hash)
		require.ErrorContains(t, err, want, hash)
	}
}

func TestLog(t *testing.T) {
	u := newUpstream(t)
	root := u.commit("root", day(1))
	left := u.commit("left\n\nwith a reason", day(2), root)
	right := u.commit("right, its clock wrong", day(9), root)
	merge := u.commit("merge", day(4), left, right)
	top := u.commit(strings.Repeat("é", 200), day(5), merge)
	r := u.open()
	subjects := func(before, after plumbing.Hash, limit int) (*snapshot.Log, []string) {
		log, err := r.Log(t.Context(), before.String(), after.String(), limit)
		require.NoError(t, err)
		var s []string
		for _, c := range log.Commits {
			s = append(s, c.Subject)
		}
		return log, s
	}
	log, s := subjects(root, top, 10)
	require.Equal(t, []string{strings.Repeat("é", 99) + "…", "merge", "right, its clock wrong", "left"}, s)
	require.Equal(t, []int{4, 0}, []int{log.Total, log.Left})
	log, s = subjects(left, top, 2)
	require.Len(t, s, 2)
	require.Equal(t, []int{3, 0}, []int{log.Total, log.Left})
	log, s = subjects(merge, left, 10)
	require.Empty(t, s)
	require.Equal(t, []int{0, 2}, []int{log.Total, log.Left}, "a step back leaves commits behind")
	log, s = subjects(right, left, 10)
	require.Equal(t, []string{"left"}, s)
	require.Equal(t, []int{1, 1}, []int{log.Total, log.Left})
	log, s = subjects(top, top, 10)
	require.Empty(t, s)
	require.Equal(t, &snapshot.Log{}, log)

	_, err := r.Log(t.Context(), strings.Repeat("0", 40), top.String(), 10)
	var unknown *snapshot.UnknownError
	require.ErrorAs(t, err, &unknown)
}

// serve offers an upstream over HTTP.
func serve(t *testing.T, u *upstream) string {
	t.Helper()
	testenv.Programs(t, "git")
	out, err := exec.CommandContext(t.Context(), "git", "--exec-path").Output()
	require.NoError(t, err)
	web := httptest.NewServer(&cgi.Handler{
		Path: filepath.Join(strings.TrimSpace(string(out)), "git-http-backend"),
		Env: []string{
			"GIT_PROJECT_ROOT=" + filepath.Dir(u.dir), "GIT_HTTP_EXPORT_ALL=1",
			"GIT_CONFIG_COUNT=2", "GIT_CONFIG_KEY_0=safe.directory", "GIT_CONFIG_VALUE_0=*",
			"GIT_CONFIG_KEY_1=uploadpack.allowAnySHA1InWant", "GIT_CONFIG_VALUE_1=true",
		},
	})
	t.Cleanup(web.Close)
	return web.URL + "/upstream.git"
}

// A repository of the web is kept, and follows what becomes of it there.
func TestRemote(t *testing.T) {
	u := newUpstream(t)
	one := u.commit("", day(1))
	u.branch("development", one)
	u.branch("old", one)
	u.tag("v3.7", one)
	address := serve(t, u)
	cache := filepath.Join(t.TempDir(), "git")

	r, err := snapshot.Open(t.Context(), cache, address)
	require.NoError(t, err)
	c, err := r.Ref("development")
	require.NoError(t, err)
	require.Equal(t, one.String(), c.Hash)

	two := u.commit("", day(2), one)
	rewritten := u.commit("", day(3), u.commit("", day(2)))
	u.branch("development", rewritten)
	u.tag("v3.7", two)
	require.NoError(t, u.git.Storer.RemoveReference("refs/heads/old"))
	pull := u.commit("", day(4), two)
	r, err = snapshot.Open(t.Context(), cache, address)
	require.NoError(t, err)
	c, err = r.Ref("development")
	require.NoError(t, err)
	require.Equal(t, rewritten.String(), c.Hash)
	c, err = r.Ref("v3.7")
	require.NoError(t, err)
	require.Equal(t, two.String(), c.Hash)
	_, err = r.Ref("old")
	require.ErrorContains(t, err, `has no branch or tag "old"`)
	c, err = r.Commit(t.Context(), rewritten.String()[:8])
	require.NoError(t, err)
	require.Equal(t, rewritten.String(), c.Hash)

	// A commit that only its hash leads to.
	require.Equal(t, "3.7^git20170804."+pull.String()[:7], u.version(r, pull, ""))
	_, err = r.Commit(t.Context(), strings.Repeat("0", 40))
	require.ErrorContains(t, err, "has no commit")

	// What was kept is damaged.
	kept, err := filepath.Glob(filepath.Join(cache, "*", "HEAD"))
	require.NoError(t, err)
	require.Len(t, kept, 1)
	require.NoError(t, os.Remove(kept[0]))
	r, err = snapshot.Open(t.Context(), cache, address)
	require.NoError(t, err)
	_, err = r.Ref("development")
	require.NoError(t, err)
}

func TestUnreachable(t *testing.T) {
	u := newUpstream(t)
	u.branch("main", u.commit("", day(1)))
	gone := httptest.NewServer(http.NotFoundHandler())
	defer gone.Close()
	silence := make(chan struct{})
	silent := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-silence:
		case <-r.Context().Done():
		}
	}))
	defer silent.Close()
	defer close(silence)
	for name, tc := range map[string]struct {
		address string
		opts    []snapshot.Option
		want    string
	}{
		"not there":      {gone.URL + "/x.git", nil, "repository " + gone.URL + "/x.git cannot be read: fetching: "},
		"password":       {strings.Replace(gone.URL, "://", "://me:secret@", 1), nil, "//me:xxxxx@127.0.0.1"},
		"silent":         {silent.URL, []snapshot.Option{snapshot.WithTimeout(50 * time.Millisecond)}, "cannot be read: fetching: not done after 50ms"},
		"a program":      {"ext::sh -c id", nil, "is not a kind of git address"},
		"a file":         {"file://" + u.dir, nil, "is not a kind of git address"},
		"not allowed":    {u.dir, nil, "sources from this machine are not allowed"},
		"elsewhere":      {u.dir, []snapshot.Option{snapshot.WithLocal(t.TempDir())}, "from where sources may come"},
		"no repository":  {"nothing", []snapshot.Option{snapshot.WithLocal(u.dir)}, "no such file or directory"},
		"another folder": {"objects", []snapshot.Option{snapshot.WithLocal(u.dir)}, "repository does not exist"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := snapshot.Open(t.Context(), t.TempDir(), tc.address, tc.opts...)
			var unreachable *snapshot.UnreachableError
			require.ErrorAs(t, err, &unreachable)
			require.ErrorContains(t, err, tc.want)
			require.NotContains(t, err.Error(), "secret")
		})
	}

	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := snapshot.Open(ctx, t.TempDir(), silent.URL)
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

// What is larger than agreed on is not kept.
func TestTooLarge(t *testing.T) {
	u := newUpstream(t)
	u.branch("main", u.commit("", day(1)))
	address := serve(t, u)
	cache := t.TempDir()
	_, err := snapshot.Open(t.Context(), cache, address, snapshot.WithMaxSize(100))
	var tooLarge *source.SizeError
	require.ErrorAs(t, err, &tooLarge)
	left, err := os.ReadDir(cache)
	require.NoError(t, err)
	require.Empty(t, left)
	_, err = snapshot.Open(t.Context(), cache, address)
	require.NoError(t, err)
}

func TestShallow(t *testing.T) {
	u := newUpstream(t)
	absent := plumbing.NewHash(strings.Repeat("1", 40))
	tip := u.commit("", day(1), absent)
	r := u.open()
	c, err := r.Commit(t.Context(), tip.String())
	require.NoError(t, err)
	_, err = r.Lock(t.Context(), c, "")
	require.ErrorContains(t, err, "git fetch --unshallow")
}

func TestWrite(t *testing.T) {
	lock := &recipes.Lock{
		Commit: strings.Repeat("7", 40), Date: recipes.Timestamp{Time: day(29)}, Tag: "v3.7", Since: 1, Total: 9, Version: "3.7^git20170829.7777777",
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "pins", "tree.yaml")
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	const settings = "# Where it all comes from.\nurl: https://example.org/tree.git # ours\n\nbranch: development"
	require.NoError(t, os.WriteFile(path, []byte(settings), 0o644))
	require.NoError(t, snapshot.Write(dir, "tree", lock))
	first, err := os.ReadFile(path)
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(string(first), settings+"\n# Written by"), string(first))
	p, err := load.Pin("pins/tree.yaml", first)
	require.NoError(t, err)
	require.Equal(t, lock, p.Lock)
	require.Equal(t, "development", p.Branch)

	next := *lock
	next.Commit, next.Version = strings.Repeat("8", 40), "3.7^git20170829.8888888"
	require.NoError(t, snapshot.Write(dir, "tree", &next))
	require.NoError(t, snapshot.Write(dir, "tree", lock))
	again, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(first), string(again))

	next.Version = "1"
	require.ErrorContains(t, snapshot.Write(dir, "tree", &next), `writing pins/tree.yaml of the catalogue `+dir+`: pins/tree.yaml:`)
	require.ErrorContains(t, snapshot.Write(dir, "other", lock), "no such file")
	after, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(first), string(after), "what cannot be right is not written")
	require.NoError(t, os.WriteFile(path, append(first, "next: \"3.8\"\n"...), 0o644))
	require.ErrorContains(t, snapshot.Write(dir, "tree", lock), "keys below lock: would be lost; move them above it")
	left, err := filepath.Glob(filepath.Join(dir, "pins", "*"))
	require.NoError(t, err)
	require.Len(t, left, 1)
}
