package snapshot_test

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/recipes/snapshot"
)

// upstream is a real repository, written commit by commit.
type upstream struct {
	t    testing.TB
	dir  string
	git  *git.Repository
	tree plumbing.Hash
	made int
}

func newUpstream(t testing.TB) *upstream {
	t.Helper()
	u := &upstream{t: t, dir: filepath.Join(t.TempDir(), "upstream.git")}
	var err error
	u.git, err = git.PlainInit(u.dir, true)
	require.NoError(t, err)
	empty := u.git.Storer.NewEncodedObject()
	require.NoError(t, (&object.Tree{}).Encode(empty))
	u.tree, err = u.git.Storer.SetEncodedObject(empty)
	require.NoError(t, err)
	return u
}

// day is noon of a day of August 2017.
func day(n int) time.Time { return time.Date(2017, 8, n, 12, 0, 0, 0, time.UTC) }

func (u *upstream) commit(message string, when time.Time, parents ...plumbing.Hash) plumbing.Hash {
	u.t.Helper()
	u.made++
	if message == "" {
		message = fmt.Sprintf("change %d\n\nwhat it is about", u.made)
	}
	by := object.Signature{Name: "a", Email: "a@example.org", When: when}
	c := &object.Commit{Author: by, Committer: by, Message: message, TreeHash: u.tree, ParentHashes: parents}
	o := u.git.Storer.NewEncodedObject()
	require.NoError(u.t, c.Encode(o))
	hash, err := u.git.Storer.SetEncodedObject(o)
	require.NoError(u.t, err)
	return hash
}

func (u *upstream) ref(name string, hash plumbing.Hash) {
	u.t.Helper()
	require.NoError(u.t, u.git.Storer.SetReference(plumbing.NewHashReference(plumbing.ReferenceName(name), hash)))
}

func (u *upstream) tag(name string, hash plumbing.Hash) { u.ref("refs/tags/"+name, hash) }

func (u *upstream) branch(name string, hash plumbing.Hash) { u.ref("refs/heads/"+name, hash) }

// annotated makes a tag with a message of its own.
func (u *upstream) annotated(name string, hash plumbing.Hash) plumbing.Hash {
	u.t.Helper()
	ref, err := u.git.CreateTag(name, hash, &git.CreateTagOptions{
		Message: name, Tagger: &object.Signature{Name: "a", Email: "a@example.org", When: day(1)},
	})
	require.NoError(u.t, err)
	return ref.Hash()
}

// open opens the repository where it is.
func (u *upstream) open() *snapshot.Repository {
	u.t.Helper()
	r, err := snapshot.Open(u.t.Context(), u.t.TempDir(), u.dir, snapshot.WithLocal(filepath.Dir(u.dir)))
	require.NoError(u.t, err)
	return r
}

// version is that of a commit.
func (u *upstream) version(r *snapshot.Repository, hash plumbing.Hash, next string) string {
	u.t.Helper()
	c, err := r.Commit(u.t.Context(), hash.String())
	require.NoError(u.t, err)
	lock, err := r.Lock(u.t.Context(), c, next)
	require.NoError(u.t, err)
	return lock.Version
}
