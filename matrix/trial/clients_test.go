package trial

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/builder/buildroot"
	"github.com/ohpc-build/ohpc-build/builder/image"
	"github.com/ohpc-build/ohpc-build/builder/image/bridge"
	"github.com/ohpc-build/ohpc-build/builder/image/debian"
	"github.com/ohpc-build/ohpc-build/builder/sandbox"
	"github.com/ohpc-build/ohpc-build/internal/store"
	"github.com/ohpc-build/ohpc-build/internal/testenv"
	"github.com/ohpc-build/ohpc-build/matrix/report"
	"github.com/ohpc-build/ohpc-build/recipes/catalog"
	"github.com/ohpc-build/ohpc-build/recipes/load"
	"github.com/ohpc-build/ohpc-build/repo/layout"
	"github.com/ohpc-build/ohpc-build/repo/rpm"
	"github.com/ohpc-build/ohpc-build/repo/rpm/rpmtest"
	"github.com/ohpc-build/ohpc-build/repo/rpm/write"
	"github.com/ohpc-build/ohpc-build/repo/rpmmd"
	"github.com/ohpc-build/ohpc-build/repo/sign"
	"github.com/ohpc-build/ohpc-build/repo/snapshot"
)

// clients tries repositories of the test's own with real package managers, in the images
// that tests and runs share.
type clients struct {
	store   *store.Store // of results, which begins empty
	runtime *sandbox.Runtime
	image   buildroot.Image
	arch    string
}

func newClients(t *testing.T, arch string) *clients {
	t.Helper()
	testenv.Integration(t)
	testenv.Root(t)
	testenv.Programs(t, "runc", "mmdebstrap", "rpmbuild")
	c, err := load.FS(catalog.FS())
	require.NoError(t, err)
	target, err := c.Target("Debian_12")
	require.NoError(t, err)
	from := target.Image.Bootstrap
	state := testenv.State(t)
	shared, err := store.Open(filepath.Join(state, "store"))
	require.NoError(t, err)
	images := image.New(shared, filepath.Join(state, "layers", "images"))
	b := debian.Bootstrap{Suite: from.Suite, Components: from.Components, Packages: from.Packages}
	if _, err := images.Find(b.Key(arch)); err != nil && os.Getenv("CI") != "true" {
		t.Skipf("%s holds no image of Debian_12 for %s (ohpc-build matrix makes it): %v", state, arch, err)
	}
	base, err := b.Image(t.Context(), images, arch, t.Output())
	require.NoError(t, err)
	runtime, err := sandbox.New("runc", filepath.Join(state, "run"))
	require.NoError(t, err)
	img, err := bridge.Names(target.Bridge).Image(t.Context(), images, runtime, base, t.Output())
	require.NoError(t, err)
	root, err := images.Unpack(t.Context(), img)
	require.NoError(t, err)
	own, err := store.Open(filepath.Join(t.TempDir(), "store"))
	require.NoError(t, err)
	return &clients{own, runtime, buildroot.Image{Digest: root.Digest, Layers: root.Layers}, arch}
}

var testKey = sync.OnceValues(func() (*sign.Key, error) {
	return sign.Generate(sign.Params{Name: "Test", Email: "test@example.org", Bits: 2048})
})

// repository makes a signed repository of unsigned packages. Those whose name begins
// with unsigned stay so.
func repository(t *testing.T, packages ...string) string {
	t.Helper()
	key, err := testKey()
	require.NoError(t, err)
	dir := t.TempDir()
	require.NoError(t, os.Chmod(dir, 0o755))
	var entries []rpmmd.Entry
	for _, path := range packages {
		p, err := rpm.ReadFile(path)
		require.NoError(t, err)
		location := p.Arch + "/" + p.FileName()
		at := filepath.Join(dir, location)
		require.NoError(t, os.MkdirAll(filepath.Dir(at), 0o755))
		if strings.HasPrefix(p.Name, "unsigned") {
			b, err := os.ReadFile(path)
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(at, b, 0o644))
		} else {
			require.NoError(t, key.SignPackageFile(t.Context(), path, at, key.Created()))
		}
		b, err := os.ReadFile(at)
		require.NoError(t, err)
		signed, err := rpm.ReadFile(at)
		require.NoError(t, err)
		digest := sha256.Sum256(b)
		entries = append(entries, rpmmd.Entry{Package: signed, Location: location, SHA256: hex.EncodeToString(digest[:])})
	}
	_, err = rpmmd.Write(t.Context(), dir, entries, rpmmd.Options{})
	require.NoError(t, err)
	repomd, err := os.ReadFile(filepath.Join(dir, rpmmd.RepomdFile))
	require.NoError(t, err)
	var signature bytes.Buffer
	require.NoError(t, key.SignDetached(&signature, bytes.NewReader(repomd), key.Created()))
	require.NoError(t, os.WriteFile(filepath.Join(dir, rpmmd.RepomdFile+".asc"), signature.Bytes(), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(dir, layout.KeyFile("3")), key.PublicKey(), 0o644))
	return dir
}

// cell is a cell with a repository, and all that Divide finds in it to install.
func (c *clients) cell(t *testing.T, dir string, required ...string) *Cell {
	t.Helper()
	key, err := testKey()
	require.NoError(t, err)
	return &Cell{
		Target: "Debian_12", Arch: c.arch, Image: c.image, Required: required, Managers: []string{"dnf", "zypper"},
		Snapshot: snapshot.Snapshot{ID: filepath.Base(filepath.Dir(dir)) + filepath.Base(dir), Dir: dir, Release: "3"}, PublicKey: key.PublicKey(),
	}
}

func (c *clients) run(t *testing.T, cell *Cell) map[string]report.Check {
	t.Helper()
	rows, err := New(cell, c.store, c.runtime, filepath.Join(t.TempDir(), "work"), func(name string) (*os.File, error) {
		return os.Create(filepath.Join(t.TempDir(), name))
	}).Run(t.Context(), NewSlots(2), quiet, quietEnd)
	require.NoError(t, err)
	results := map[string]report.Check{}
	for _, r := range rows {
		results[r.Subject] = r
	}
	return results
}

// made are packages without scripts: name-version, and what it says beside.
func made(t *testing.T, packages ...write.Package) []string {
	t.Helper()
	var paths []string
	for _, p := range packages {
		name, version, _ := strings.Cut(p.Name, "-")
		p.Name, p.Version, p.Release, p.Summary, p.License, p.Description, p.BuildHost = name, version, "1", "s", "MIT", "d", "h"
		p.Arch, p.SourceRPM, p.BuildTime = "noarch", p.Name+"-1.src.rpm", time.Unix(1700000000, 0)
		if p.Files == nil {
			p.Files = []write.File{{Path: "/opt/" + name, Data: []byte(version)}}
		}
		var b bytes.Buffer
		require.NoError(t, write.Write(&b, p))
		path := filepath.Join(t.TempDir(), p.Name+".rpm")
		require.NoError(t, os.WriteFile(path, b.Bytes(), 0o644))
		paths = append(paths, path)
	}
	return paths
}

func on(name string) []rpm.Dependency { return []rpm.Dependency{{Name: name}} }

// troubles are packages that do what packages should not.
const troubles = `
Name: good
Version: 1
Release: 1
Summary: A test
License: MIT
BuildArch: noarch
Requires: helper
%description
A test.
%package -n helper
Summary: A test
%description -n helper
What good needs.
%package -n stubborn
Summary: A test
%description -n stubborn
Cannot be removed.
%package -n messy
Summary: A test
%description -n messy
Leaves files behind.
%package -n meddler
Summary: A test
%description -n meddler
Changes what is not its own.
%package -n slow
Summary: A test
%description -n slow
Never ends.
%package -n unsigned
Summary: A test
%description -n unsigned
Is not signed.
%package -n wanting
Summary: A test
Requires: no-such-thing
%description -n wanting
Needs what is not there.
%package -n left
Summary: A test
Conflicts: right
%description -n left
One of two.
%package -n right
Summary: A test
%description -n right
The other.
%install
mkdir -p %{buildroot}/opt/good/folder %{buildroot}/etc %{buildroot}/opt/messy
echo good >%{buildroot}/opt/good/file
echo setting >%{buildroot}/etc/good.conf
touch %{buildroot}/opt/good/ghost
for p in helper stubborn meddler slow unsigned wanting left right; do echo $p >%{buildroot}/opt/$p; done
%posttrans -n helper
echo changed >>/etc/good.conf || :
echo >/opt/good/ghost || :
%preun -n stubborn
exit 1
%post -n messy
echo state >/opt/messy/state
mkdir -p /var/lib/messy/deep && echo more >/var/lib/messy/deep/file
%post -n meddler
echo changed >>/etc/profile
rm -f /etc/issue
%post -n slow
sleep 3600
%files
/opt/good
%ghost /opt/good/ghost
%config(noreplace) /etc/good.conf
%files -n helper
/opt/helper
%files -n stubborn
/opt/stubborn
%files -n messy
/opt/messy
%files -n meddler
/opt/meddler
%files -n slow
/opt/slow
%files -n unsigned
/opt/unsigned
%files -n wanting
/opt/wanting
%files -n left
/opt/left
%files -n right
/opt/right
%changelog
* Tue Feb 20 2024 A Maintainer <m@example.org> - 1-1
- First
`

func TestInstallWithRealClients(t *testing.T) {
	c := newClients(t, "x86_64")
	dir := repository(t, rpmtest.BuildText(t, troubles, "noarch")...)
	all := map[string]*rpm.Package{}
	paths, err := filepath.Glob(dir + "/noarch/*.rpm")
	require.NoError(t, err)
	for _, path := range paths {
		p, err := rpm.ReadFile(path)
		require.NoError(t, err)
		all[p.Name] = p
	}
	pair := Divide("pair", []*rpm.Package{all["left"], all["right"]})
	require.Equal(t, []Install{{"pair (left)", []string{"left"}}, {"pair (right)", []string{"right"}}}, pair)
	results := map[string]report.Check{}
	for manager, names := range map[string][]string{
		"dnf": {"good", "stubborn", "messy", "unsigned", "wanting"}, "zypper": {"good", "stubborn", "meddler", "unsigned"},
	} {
		cell := c.cell(t, dir, "install-"+manager)
		for _, name := range names {
			cell.Installs = append(cell.Installs, Install{name, []string{name}})
		}
		if manager == "dnf" {
			cell.Installs = append(cell.Installs, pair...)
		}
		maps.Copy(results, c.run(t, cell))
	}
	require.Len(t, results, 11)
	for subject, wants := range map[string][]string{
		"pair (left)":  nil,
		"pair (right)": nil,
		"good":         nil,
		"stubborn":     {"stubborn"},
		"messy": {
			"removing it does not leave the system as it was:",
			"/opt/messy/state: was not there before (%post of messy-1-1.noarch)",
			"/var/lib/messy/deep: was not there before (%post of messy-1-1.noarch)",
		},
		"meddler": {
			"/etc/issue: was there before (%post of meddler-1-1.noarch)",
			"/etc/profile: has another content (%post of meddler-1-1.noarch)",
		},
		"unsigned": {"it could not be installed", "not signed"},
		"wanting":  {"it could not be installed", "nothing provides"},
	} {
		for _, manager := range []string{"dnf", "zypper"} {
			r, ok := results[subject+" with "+manager]
			if !ok {
				continue
			}
			if wants == nil {
				require.Equal(t, report.Pass, r.Result, "%s: %s", r.ID(), r.Reason)
				continue
			}
			require.Equal(t, report.Fail, r.Result, r.ID())
			for _, want := range wants {
				require.Contains(t, r.Reason, want, r.ID())
			}
		}
	}

	// A change of one package tries only those again that it has a part in.
	other := func(packages ...write.Package) *Cell {
		cell := c.cell(t, repository(t, append(made(t, packages...), paths...)...), "install-dnf")
		cell.Installs = []Install{{"good", []string{"good"}}, pair[0]}
		return cell
	}
	for subject, r := range c.run(t, other(write.Package{Name: "other-1"})) {
		require.True(t, r.Reused, subject)
	}
	rows := c.run(t, other(write.Package{Name: "better-1", Provides: on("helper")}))
	require.False(t, rows["good with dnf"].Reused, "another package could be chosen")
	require.True(t, rows["pair (left) with dnf"].Reused)
}

func TestAPackageManagerThatDoesNotEnd(t *testing.T) {
	c := newClients(t, "x86_64")
	cell := c.cell(t, repository(t, rpmtest.BuildText(t, troubles, "noarch")...), "install-dnf")
	cell.Installs, cell.Timeout = []Install{{"slow", []string{"slow"}}}, 8*time.Second
	begin := time.Now()
	r := c.run(t, cell)["slow with dnf"]
	require.Less(t, time.Since(begin), time.Minute)
	require.Equal(t, report.Fail, r.Result)
	require.Contains(t, r.Reason, "dnf install: ran past its time limit")
}

func TestInstallEmulated(t *testing.T) {
	c := newClients(t, "aarch64")
	cell := c.cell(t, repository(t, made(t, write.Package{Name: "good-1"})...), "install-zypper")
	cell.Installs = []Install{{"good", []string{"good"}}}
	r := c.run(t, cell)["good with zypper"]
	require.Equal(t, report.Pass, r.Result, r.Reason)
}

func TestUpgradeWithRealClients(t *testing.T) {
	c := newClients(t, "x86_64")
	old := repository(t, made(t,
		write.Package{Name: "app-1", Requires: on("lib")}, write.Package{Name: "lib-1"}, write.Package{Name: "gone-1"}, write.Package{Name: "renamed-1"},
		write.Package{Name: "enemy-1", Conflicts: on("app")}, write.Package{Name: "broken-1", Requires: on("no-such-thing")},
	)...)
	key, err := testKey()
	require.NoError(t, err)
	for _, tc := range []struct {
		name     string
		managers []string
		packages []write.Package
		overlay  bool
		want     string
	}{
		{"a better one", []string{"dnf", "zypper"}, []write.Package{
			{Name: "app-2", Requires: []rpm.Dependency{{Name: "lib", Flags: rpm.Greater | rpm.Equal, Version: "2"}}},
			{Name: "lib-2"},
			{Name: "newname-2", Obsoletes: on("renamed"), Provides: on("renamed")},
			{Name: "enemy-2", Conflicts: on("app")},
		}, false, ""},
		{"older", []string{"dnf"}, []write.Package{{Name: "app-0.9"}, {Name: "lib-1"}, {Name: "renamed-1"}}, false, "app-1-1.noarch stays: the new repository has 0.9-1, which is older"},
		{"incomplete", []string{"dnf", "zypper"}, []write.Package{{Name: "app-2", Requires: on("no-such-thing")}, {Name: "lib-1"}}, false, "the upgrade failed: dnf upgrade: exit status 1"},
		{"an overlay", []string{"dnf", "zypper"}, []write.Package{{Name: "lib-3"}}, true, ""},
		{"an overlay that does not fit", []string{"dnf"}, []write.Package{{Name: "lib-3", Conflicts: on("app")}}, true, "package lib-3-1.noarch conflicts with app"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			cell := c.cell(t, repository(t, made(t, tc.packages...)...), "upgrade")
			cell.Managers = tc.managers
			tree := &Tree{Name: "the old one", Dir: old, ID: "old", PublicKey: key.PublicKey()}
			if tc.overlay {
				cell.Base = tree
			} else {
				cell.Before = tree
			}
			for subject, r := range c.run(t, cell) {
				if tc.want == "" {
					require.Equal(t, report.Pass, r.Result, "%s: %s", subject, r.Reason)
				}
				if tc.name == "a better one" {
					var cases []string
					for _, k := range r.Cases {
						cases = append(cases, fmt.Sprintf("%s %s %s", k.Result, k.Name, k.Reason))
					}
					require.Equal(t, []string{
						"pass set 1 of 2: app and 3 more ", "pass set 2 of 2: enemy ",
						"skip broken-1-1.noarch it requires no-such-thing, which nothing provides that can be installed",
					}, cases, subject)
				}
				if tc.want == "" {
					continue
				}
				require.Equal(t, report.Fail, r.Result, subject)
				if strings.HasSuffix(subject, "dnf") {
					require.Contains(t, r.Reason, tc.want)
				}
			}
		})
	}
}
