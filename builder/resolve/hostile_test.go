package resolve

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/builder/sandbox"
	"github.com/ohpc-build/ohpc-build/internal/store"
	"github.com/ohpc-build/ohpc-build/repo/rpm"
)

// hostile is a container in which something else than a package manager answers.
type hostile func(dir string) error

func (h hostile) Run(_ context.Context, s sandbox.Spec) error { return h(s.Mounts[0].Source) }

type noIndex struct{}

func (noIndex) Index(context.Context, string, []string) error { return nil }

// say answers with a document.
func say(doc any) hostile {
	return func(dir string) error {
		text, err := json.Marshal(doc)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(dir, "answer.json"), text, 0o600)
	}
}

func TestHostileAnswers(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(secret, []byte("of the host"), 0o600))
	one := func(f found) map[string]any { return map[string]any{"packages": []found{f}} }
	for name, tc := range map[string]struct {
		answer hostile
		says   string
	}{
		"none":      {func(string) error { return nil }, "left no answer"},
		"no JSON":   {func(dir string) error { return os.WriteFile(filepath.Join(dir, "answer.json"), []byte("{"), 0o600) }, "cannot be read"},
		"a link":    {func(dir string) error { return os.Symlink(secret, filepath.Join(dir, "answer.json")) }, "is no file of at most"},
		"a folder":  {func(dir string) error { return os.Mkdir(filepath.Join(dir, "answer.json"), 0o700) }, "is no file of at most"},
		"endless":   {say(strings.Repeat("x", maxAnswer)), "is no file of at most"},
		"a way out": {say(one(found{Name: "a", File: "../own/a.rpm"})), "is not a file name"},
		"no file":   {say(one(found{Name: "a", File: "a.rpm"})), "did not leave the file"},
		"a file of the host": {func(dir string) error {
			if err := os.Symlink(secret, filepath.Join(dir, "packages", "a.rpm")); err != nil {
				return err
			}
			return say(one(found{Name: "a", File: "a.rpm"}))(dir)
		}, "did not leave the file"},
		"no package": {func(dir string) error {
			if err := os.WriteFile(filepath.Join(dir, "packages", "a.rpm"), []byte("something"), 0o600); err != nil {
				return err
			}
			return say(one(found{Name: "a", File: "a.rpm"}))(dir)
		}, "a.rpm"},
		"ours, but not offered": {say(one(found{Name: "a", Repository: ownRepository, Location: "../../a.rpm"})), "which was not offered"},
		"an unknown checksum": {func(dir string) error {
			if err := os.WriteFile(filepath.Join(dir, "packages", "a.rpm"), []byte("something"), 0o600); err != nil {
				return err
			}
			return say(one(found{Name: "a", File: "a.rpm", Checksum: "crc:0"}))(dir)
		}, "unknown checksum"},
		"too many":                         {say(map[string]any{"packages": make([]found, maxPackages+1)}), "more than"},
		"a requirement that was not asked": {say(map[string]any{"kind": "unresolvable", "message": marker + "99999999999999999999 " + marker + "7"}), "unresolvable BuildRequires: requirements"},
	} {
		t.Run(name, func(t *testing.T) {
			st, err := store.Open(filepath.Join(t.TempDir(), "store"))
			require.NoError(t, err)
			_, err = New(st, tc.answer, noIndex{}).Resolve(t.Context(), Request{Job: "job", Manager: "dnf", Requires: []rpm.Dependency{{Name: "x"}}})
			require.ErrorContains(t, err, tc.says)
			require.False(t, st.Has(store.Of([]byte("of the host"))))
		})
	}
}

func TestOwnPackagesWithOddNames(t *testing.T) {
	st, err := store.Open(filepath.Join(t.TempDir(), "store"))
	require.NoError(t, err)
	for _, file := range []string{"../a.rpm", "", ".", "-a.rpm", "a b.rpm", "a\n.rpm"} {
		_, err = New(st, say(nil), noIndex{}).Resolve(t.Context(), Request{Job: "job", Manager: "dnf", Own: []Own{{File: file, Digest: store.Of(nil)}}})
		require.ErrorContains(t, err, "is not a file name")
	}
	_, err = New(st, say(nil), noIndex{}).Resolve(t.Context(), Request{Job: "job", Manager: "apt"})
	require.ErrorContains(t, err, "(dnf, zypper)")
}

func FuzzZypper(f *testing.F) {
	f.Add([]byte(`<?xml version='1.0'?><stream><install-summary><to-install><solvable type="package" name="a" edition="0:1-1" arch="noarch" repository="ohpc-build-own"/></to-install></install-summary></stream>`))
	f.Add([]byte(`<stream><prompt id="1"><description>Problem: nothing provides x needed by ohpc-build-requirement-0-0-1.noarch
 Solution 1: do not install</description></prompt></stream>`))
	f.Fuzz(func(t *testing.T, text []byte) {
		q := &question{Request: Request{Job: "job", Manager: "zypper", Requires: []rpm.Dependency{{Name: "x"}}}, dir: t.TempDir()}
		require.NoError(t, os.Mkdir(filepath.Join(q.dir, "packages"), 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(q.dir, "install.xml"), text, 0o600))
		l, err := q.list("install.xml")
		if err != nil {
			return
		}
		a := &answer{Kind: "unresolvable", Message: strings.Join(l.said(), "\n")}
		require.Error(t, a.problem(q))
		_ = q.collect(a, l.Install) // must not panic, nor leave the folder
	})
}
