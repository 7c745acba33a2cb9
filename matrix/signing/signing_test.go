package signing

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/builder/buildroot"
	"github.com/ohpc-build/ohpc-build/internal/store"
	"github.com/ohpc-build/ohpc-build/repo/publish/publishtest"
	"github.com/ohpc-build/ohpc-build/repo/rpm"
	"github.com/ohpc-build/ohpc-build/repo/rpm/rpmtest"
)

// headers reads them anew each time.
type headers struct{ store *store.Store }

func (h headers) Header(d store.Digest) (*rpm.Package, error) {
	path, err := h.store.Path(d)
	if err != nil {
		return nil, err
	}
	return rpm.ReadFile(path)
}

// steps are what was told of the progress.
type steps struct {
	mu    sync.Mutex
	begun int
	ended map[string]string
}

func (s *steps) Begin(string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.begun++
}

func (s *steps) End(what, how string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended == nil {
		s.ended = map[string]string{}
	}
	s.ended[what] = how
}

func unsigned(f *publishtest.Fixture, names ...string) []buildroot.Package {
	f.Helper()
	var all []buildroot.Package
	for _, name := range names {
		p := f.Raw(rpmtest.Simple(name, "1", "1", "noarch").Bytes(), name)
		all = append(all, buildroot.Package{File: name + "-1-1.noarch.rpm", Digest: p.Digest})
	}
	return all
}

func TestAPackageIsSignedOnceWithEachKey(t *testing.T) {
	f := publishtest.SetUp(t)
	packages := unsigned(f, "one", "two", "three")
	var first steps
	signed, err := New(f.Store, f.Spec.Key, headers{f.Store}).Packages(t.Context(), packages, 2, &first)
	require.NoError(t, err)
	require.Len(t, signed, len(packages))
	require.Equal(t, len(packages), first.begun)
	for _, p := range packages {
		require.Equal(t, "signed", first.ended[p.File])
		require.NotEqual(t, p.Digest, signed[p.Digest])
		path, err := f.Store.Path(signed[p.Digest])
		require.NoError(t, err)
		_, err = f.Spec.Key.Keyring().VerifyPackageFile(t.Context(), path)
		require.NoError(t, err)
		path, err = f.Store.Path(p.Digest)
		require.NoError(t, err)
		_, err = f.Spec.Key.Keyring().VerifyPackageFile(t.Context(), path)
		require.Error(t, err, "what was built stays as it is")
	}

	var again steps
	same, err := New(f.Store, f.Spec.Key, headers{f.Store}).Packages(t.Context(), packages, 1, &again)
	require.NoError(t, err)
	require.Equal(t, signed, same)
	require.Equal(t, "signed before", again.ended[packages[0].File])

	other, err := publishtest.OtherKey()
	require.NoError(t, err)
	d, how, err := New(f.Store, other, headers{f.Store}).Package(t.Context(), packages[0])
	require.NoError(t, err)
	require.Equal(t, "signed", how)
	require.NotEqual(t, signed[packages[0].Digest], d)
}

// TestAForgottenPackageIsSignedAnew to the same bytes: nothing of the clock is in it.
func TestAForgottenPackageIsSignedAnew(t *testing.T) {
	f := publishtest.SetUp(t)
	p := unsigned(f, "one")[0]
	s := New(f.Store, f.Spec.Key, headers{f.Store})
	d, _, err := s.Package(t.Context(), p)
	require.NoError(t, err)
	path, err := f.Store.Path(d)
	require.NoError(t, err)
	require.NoError(t, os.Remove(path))
	again, how, err := s.Package(t.Context(), p)
	require.NoError(t, err)
	require.Equal(t, "signed", how)
	require.Equal(t, d, again)
	require.True(t, hasRecord(t, f.Store, p.Digest))
}

func TestWhatCannotBeSigned(t *testing.T) {
	f := publishtest.SetUp(t)
	packages := unsigned(f, "one", "damaged")
	s := New(f.Store, f.Spec.Key, headers{f.Store})
	path, err := f.Store.Path(packages[1].Digest)
	require.NoError(t, err)
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	b[len(b)-1] ^= 1 // its payload is not what its header says
	require.NoError(t, os.Chmod(path, 0o644))
	require.NoError(t, os.WriteFile(path, b, 0o644))
	var told steps
	_, err = s.Packages(t.Context(), packages, 1, &told)
	require.ErrorContains(t, err, "signing damaged-1-1.noarch.rpm: ")
	require.Contains(t, told.ended["damaged-1-1.noarch.rpm"], "failed: ")
	require.False(t, hasRecord(t, f.Store, packages[1].Digest))

	gone := buildroot.Package{File: "gone.rpm", Digest: store.Of([]byte("never made"))}
	_, _, err = s.Package(t.Context(), gone)
	require.ErrorContains(t, err, gone.Digest.Hex())

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	fresh := unsigned(f, "fresh")
	_, _, err = s.Package(ctx, fresh[0])
	require.ErrorIs(t, err, context.Canceled)
	require.False(t, hasRecord(t, f.Store, fresh[0].Digest))
	temps, err := filepath.Glob(filepath.Join(filepath.Dir(f.Spec.Root), "store", "tmp", "*"))
	require.NoError(t, err)
	require.Empty(t, temps)
}

// hasRecord says whether a package counts as signed.
func hasRecord(t *testing.T, st *store.Store, d store.Digest) bool {
	t.Helper()
	key, err := publishtest.OurKey()
	require.NoError(t, err)
	var signed store.Digest
	return st.Record(recordSigned, string(d)+" "+key.Fingerprint(), &signed) == nil
}
