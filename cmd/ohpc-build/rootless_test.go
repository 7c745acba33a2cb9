package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/builder/emulate"
	"github.com/ohpc-build/ohpc-build/builder/image"
	"github.com/ohpc-build/ohpc-build/builder/image/bridge"
	"github.com/ohpc-build/ohpc-build/builder/image/debian"
	"github.com/ohpc-build/ohpc-build/builder/sandbox"
	"github.com/ohpc-build/ohpc-build/internal/store"
	"github.com/ohpc-build/ohpc-build/internal/testenv"
	"github.com/ohpc-build/ohpc-build/matrix/report"
	"github.com/ohpc-build/ohpc-build/recipes/catalog"
	"github.com/ohpc-build/ohpc-build/recipes/load"
)

const (
	// An ordinary user that this host need not have, and its subordinate ids.
	ordinaryUser        = 61234
	ordinarySubordinate = 2_000_000_000

	// asOrdinaryUser becomes that user, in a mount namespace where the user is known
	// and has subordinate ids or none. The host's own files stay as they are.
	asOrdinaryUser = `set -eu
dir=$1 user=$2 subordinate=$3
shift 3
cp /etc/passwd /etc/group "$dir"
echo "ordinary:x:$user:$user::$dir/home:/bin/sh" >>"$dir/passwd"
echo "ordinary:x:$user:" >>"$dir/group"
for list in subuid subgid; do
	: >"$dir/$list"
	[ "$subordinate" = none ] || echo "ordinary:$subordinate:65536" >"$dir/$list"
	[ -e /etc/$list ] || : >/etc/$list
done
for file in passwd group subuid subgid; do mount --bind "$dir/$file" "/etc/$file"; done
mkdir -p "$dir/home"
chown "$user:$user" "$dir/home"
cd "$dir/home"
exec setpriv --reuid "$user" --regid "$user" --clear-groups -- "$@"`
)

// ordinary is a host on which an ordinary user has the program and nothing else.
type ordinary struct{ dir, program string }

func newOrdinary(t *testing.T) *ordinary {
	t.Helper()
	testenv.Integration(t)
	testenv.Root(t)
	testenv.Programs(t, "go", "runc", "newuidmap", "newgidmap", "nsenter", "setpriv", "unshare")
	o := &ordinary{dir: t.TempDir()}
	// What t.TempDir makes is for its owner only.
	require.NoError(t, os.Chmod(filepath.Dir(o.dir), 0o755))
	o.program = filepath.Join(o.dir, "ohpc-build")
	out, err := exec.CommandContext(t.Context(), "go", "build", "-o", o.program, ".").CombinedOutput()
	require.NoError(t, err, "%s", out)
	return o
}

// run runs the program as the user, whose folder is the current one.
func (o *ordinary) run(t *testing.T, subordinate string, args ...string) (string, error) {
	t.Helper()
	wrapped := append([]string{
		"--mount", "--propagation", "private", "--", "sh", "-c", asOrdinaryUser, "ordinary",
		o.dir, strconv.Itoa(ordinaryUser), subordinate, o.program,
	}, args...)
	cmd := exec.CommandContext(t.Context(), "unshare", wrapped...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + filepath.Join(o.dir, "home"), "USER=ordinary"}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (o *ordinary) write(t *testing.T, name, content string) {
	t.Helper()
	path := filepath.Join(o.dir, name)
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, []byte(content), 0o644))
}

// recipe writes a component. The spec holds the time, so that nothing is reused.
func (o *ordinary) recipe(t *testing.T, name, tags, sections string) {
	t.Helper()
	dir := "catalog/components/test/" + name
	o.write(t, dir+"/recipe.yaml", "name: "+name+"\nkind: component\ngroup: test\nsummary: A test\n")
	o.write(t, dir+"/SPECS/"+name+".spec", fmt.Sprintf(`# %d
Name: %s-ohpc
Version: 1
Release: 1
Summary: A test
License: Apache-2.0
%s

%%description
A test.

%s

%%changelog
* Mon Oct 21 2024 ohpc-build - 1-1
- First version
`, time.Now().UnixNano(), name, tags, sections))
}

// export writes the image that all tests share as an OCI layout.
func (o *ordinary) export(t *testing.T) string {
	t.Helper()
	c, err := load.FS(catalog.FS())
	require.NoError(t, err)
	target, err := c.Target("Debian_12")
	require.NoError(t, err)
	state := testenv.State(t)
	st, err := store.Open(filepath.Join(state, "store"))
	require.NoError(t, err)
	runtime, err := sandbox.New("runc", filepath.Join(state, "run"))
	require.NoError(t, err)
	images := image.New(st, filepath.Join(state, "layers", "images"))
	from := target.Image.Bootstrap
	base, err := debian.Bootstrap{Suite: from.Suite, Components: from.Components, Packages: from.Packages}.
		Image(t.Context(), images, emulate.Host(), io.Discard)
	require.NoError(t, err)
	img, err := bridge.Names(target.Bridge).Image(t.Context(), images, runtime, base, io.Discard)
	require.NoError(t, err)
	exported, err := images.OCI(img)
	require.NoError(t, err)
	dir := filepath.Join(o.dir, "image")
	to, err := layout.Write(dir, empty.Index)
	require.NoError(t, err)
	require.NoError(t, to.AppendImage(exported))
	out, err := exec.CommandContext(t.Context(), "chmod", "-R", "a+rX", dir).CombinedOutput()
	require.NoError(t, err, "%s", out)
	return dir
}

// packages are the digests of a report's unsigned packages, by file name.
func packages(t *testing.T, path string) (*report.Run, map[string]string) {
	t.Helper()
	doc, err := os.ReadFile(path)
	require.NoError(t, err)
	var run report.Run
	require.NoError(t, json.Unmarshal(doc, &run))
	digests := map[string]string{}
	for _, j := range run.Jobs {
		for _, p := range j.Packages {
			digests[p.File] = p.Digest
		}
	}
	return &run, digests
}

// TestAnOrdinaryUser takes recipes all the way without being root, and expects the
// very packages that root gets.
func TestAnOrdinaryUser(t *testing.T) {
	o := newOrdinary(t)
	layoutDir := o.export(t)
	o.write(t, "catalog/catalog.yaml", "release: \"3\"\nversion: \"3\"\ndate: 2024-10-21\nurl: https://example.org\n")
	o.write(t, "catalog/targets/Test_1.yaml", "name: Test_1\nsummary: A test\narchitectures: ["+emulate.Host()+"]\n"+
		"image: {reference: "+layoutDir+"}\nmanagers: [dnf, zypper]\nchecks: [closure, install-dnf, install-zypper]\n")
	o.recipe(t, "below", "", `%build
cat >below.c <<'.'
int below(void) { return 42; }
.
gcc -shared -fPIC -Wl,-soname,libbelow.so.1 -o libbelow.so.1 below.c
%install
install -D libbelow.so.1 %{buildroot}/opt/ohpc/test/lib/libbelow.so.1
ln -s libbelow.so.1 %{buildroot}/opt/ohpc/test/lib/libbelow.so
%files
%dir /opt/ohpc
%dir /opt/ohpc/test
%dir %attr(2775,root,daemon) /opt/ohpc/test/lib
/opt/ohpc/test/lib/libbelow.so*`)
	o.recipe(t, "above", "BuildRequires: below-ohpc", `%build
echo 'int below(void); int main(void) { return below() != 42; }' >above.c
gcc -o above above.c -L/opt/ohpc/test/lib -lbelow -Wl,-rpath,/opt/ohpc/test/lib
./above
%install
install -D above %{buildroot}/opt/ohpc/test/bin/above
%files
%dir /opt/ohpc
%dir /opt/ohpc/test
%dir /opt/ohpc/test/bin
%attr(-,games,games) /opt/ohpc/test/bin/above`)
	o.recipe(t, "same", "BuildArch: noarch", `%install
mkdir -p %{buildroot}/opt/ohpc/test
id -u >%{buildroot}/opt/ohpc/test/same
%files
%dir /opt/ohpc
%dir /opt/ohpc/test
/opt/ohpc/test/same`)
	o.write(t, "catalog/meta/all/recipe.yaml", "name: all\nkind: meta-package\nsummary: A test\nrequires: [above-ohpc, same-ohpc]\n")
	args := []string{"matrix", "--catalog", filepath.Join(o.dir, "catalog"), "--progress", "none"}

	out, err := o.run(t, strconv.Itoa(ordinarySubordinate), args...)
	require.NoError(t, err, out)
	run, users := packages(t, filepath.Join(o.dir, "home/out/report/matrix.json"))
	require.Len(t, users, 8, "of each recipe a package and its source")
	for _, c := range run.Checks {
		require.Equal(t, report.Pass, c.Result, "%s of %s: %s", c.Name, c.Subject, c.Reason)
	}
	require.Len(t, run.Checks, 9, "closure, and each of four packages with two managers")
	fi, err := os.Stat(filepath.Join(o.dir, "home/out/repos/OpenHPC/3"))
	require.NoError(t, err)
	require.Equal(t, uint32(ordinaryUser), owner(t, fi), "what is published is the user's")

	rootsOut := filepath.Join(o.dir, "out")
	cmd := exec.CommandContext(t.Context(), o.program, append(args, "--out", rootsOut, "--state", testenv.State(t))...)
	text, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", text)
	_, roots := packages(t, filepath.Join(rootsOut, "report/matrix.json"))
	require.Equal(t, roots, users, "who builds does not matter")

	// Nobody works on another's state.
	state := filepath.Join(o.dir, "home/.cache/ohpc-build")
	text, err = exec.CommandContext(t.Context(), o.program, "doctor", "--state", state).CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(text), "belongs to another user (number "+strconv.Itoa(ordinaryUser)+")")
	mine := filepath.Join(o.dir, "roots-state")
	require.NoError(t, os.Mkdir(mine, 0o777))
	out, err = o.run(t, strconv.Itoa(ordinarySubordinate), "doctor", "--state", mine)
	require.Error(t, err)
	require.Contains(t, out, "belongs to another user")

	// Its files are other users', so that the program removes it.
	out, err = o.run(t, strconv.Itoa(ordinarySubordinate), "unshare", "rm", "-rf", state)
	require.NoError(t, err, out)
	require.NoDirExists(t, state)
}

func TestAnOrdinaryUserWithoutSubordinateIDs(t *testing.T) {
	o := newOrdinary(t)
	for _, command := range []string{"doctor", "matrix"} {
		out, err := o.run(t, "none", command)
		var exit *exec.ExitError
		require.ErrorAs(t, err, &exit, out)
		require.Equal(t, exitHost, exit.ExitCode(), out)
		require.Contains(t, out, "ordinary has no subordinate ids")
		require.Contains(t, out, "sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 ordinary")
	}
}

func owner(t *testing.T, fi os.FileInfo) uint32 {
	t.Helper()
	st, ok := fi.Sys().(*syscall.Stat_t)
	require.True(t, ok)
	return st.Uid
}
