package bridge_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/builder/emulate"
	"github.com/ohpc-build/ohpc-build/builder/image"
	"github.com/ohpc-build/ohpc-build/builder/image/bridge"
	"github.com/ohpc-build/ohpc-build/builder/image/debian"
	"github.com/ohpc-build/ohpc-build/builder/sandbox"
	"github.com/ohpc-build/ohpc-build/internal/store"
	"github.com/ohpc-build/ohpc-build/internal/testenv"
)

// debian12 is the catalogue's target, so that the image is the program's own and
// made only once.
func debian12(t *testing.T) (debian.Bootstrap, bridge.Names) {
	t.Helper()
	text, err := os.ReadFile("../../../recipes/catalog/targets/Debian_12.yaml")
	require.NoError(t, err)
	var target struct {
		Image struct {
			Bootstrap struct {
				Suite      string   `yaml:"suite"`
				Components []string `yaml:"components"`
				Packages   []string `yaml:"packages"`
			} `yaml:"bootstrap"`
		} `yaml:"image"`
		Bridge map[string][]string `yaml:"bridge"`
	}
	require.NoError(t, yaml.Unmarshal(text, &target))
	b := target.Image.Bootstrap
	return debian.Bootstrap{Suite: b.Suite, Components: b.Components, Packages: b.Packages}, target.Bridge
}

// system is a target's root and what runs commands in it.
type system struct {
	t       *testing.T
	runtime *sandbox.Runtime
	root    *image.Root
	repo    string // the host's folder of /repo
}

func newSystem(t *testing.T, arch string) *system {
	t.Helper()
	testenv.Integration(t)
	testenv.Root(t)
	testenv.Programs(t, "mmdebstrap", "runc", "rpmbuild", "rpmsign", "createrepo_c", "gpg")
	if err := emulate.Preflight(t.Context(), arch); err != nil {
		testenv.Missing(t, err.Error())
	}
	state := testenv.State(t)
	st, err := store.Open(filepath.Join(state, "store"))
	require.NoError(t, err)
	runtime, err := sandbox.New("runc", filepath.Join(state, "run"))
	require.NoError(t, err)
	images := image.New(st, filepath.Join(state, "layers", "images")) // where the program keeps them
	bootstrap, names := debian12(t)
	base, err := bootstrap.Image(t.Context(), images, arch, t.Output())
	require.NoError(t, err)
	img, err := names.Image(t.Context(), images, runtime, base, t.Output())
	require.NoError(t, err)
	root, err := images.Unpack(t.Context(), img)
	require.NoError(t, err)
	return &system{t: t, runtime: runtime, root: root, repo: t.TempDir()}
}

// run runs a script of this test's own in a fresh container; nothing of it stays.
func (s *system) run(script string, change func(*sandbox.Spec)) (string, error) {
	var out bytes.Buffer
	spec := sandbox.Spec{
		Name: "bridge-test", Layers: s.root.Layers, Args: []string{"/bin/sh", "-c", script},
		Env: []string{"HOME=/root", "LC_ALL=C.UTF-8"}, Stdout: &out, Stderr: &out, Timeout: 5 * time.Minute,
		Privileges: sandbox.PackageManager,
		Mounts: []sandbox.Mount{
			{Source: s.repo, Destination: "/mnt", ReadOnly: true},
			{Source: filepath.Join(s.repo, "clients"), Destination: "/etc/yum.repos.d", ReadOnly: true},
			{Source: filepath.Join(s.repo, "clients"), Destination: "/etc/zypp/repos.d", ReadOnly: true},
		},
	}
	if change != nil {
		change(&spec)
	}
	err := s.runtime.Run(s.t.Context(), spec)
	return out.String(), err
}

const specs = `Name: hello
Version: 1
Release: 1
Summary: A package that requires what the system holds
License: Apache-2.0
AutoReqProv: no
Requires: %{requires}
%description
A test.
%install
mkdir -p %{buildroot}/opt
echo hello > %{buildroot}/opt/%{name}
%files
/opt/hello
%package -n lost
Summary: A package that requires what nothing holds
Requires: no-such-thing
%description -n lost
A test.
%files -n lost
`

// publish writes packages, signed or not, and signed metadata, with the host's
// own tools.
func (s *system) publish(arch string, sign bool) {
	t := s.t
	t.Helper()
	gnupg := t.TempDir()
	host := func(name string, args ...string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), name, args...)
		cmd.Env = append(os.Environ(), "GNUPGHOME="+gnupg, "HOME="+gnupg)
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s %s\n%s", name, strings.Join(args, " "), out)
	}
	write := func(name, body string) {
		t.Helper()
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(s.repo, name)), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(s.repo, name), []byte(body), 0o644))
	}
	require.NoError(t, os.RemoveAll(filepath.Join(s.repo, "tree")))
	write("hello.spec", specs)
	// zypper trusts packages once it has verified the metadata, unless it is told
	// otherwise by a word of its own, which dnf ignores (libzypp: zypp.conf).
	write("clients/test.repo", "[test]\nname=test\nbaseurl=file:///mnt/tree\nenabled=1\ngpgcheck=1\nrepo_gpgcheck=1\npkg_gpgcheck=1\ngpgkey=file:///mnt/key.asc\n")
	tree := filepath.Join(s.repo, "tree")
	host("rpmbuild", "-bb", "--target", arch+"-linux", "--define", "_topdir "+gnupg+"/rpmbuild", "--define", "_rpmdir "+tree,
		"--define", "requires libc.so.6()(64bit) libc.so.6(GLIBC_2.34)(64bit) rtld(GNU_HASH) /bin/sh /usr/bin/perl perl(strict) zlib-devel(%{isa}) pkgconfig(zlib) >= 1.2",
		"--define", "isa "+map[string]string{"x86_64": "x86-64", "aarch64": "aarch-64"}[arch],
		filepath.Join(s.repo, "hello.spec"))
	host("gpg", "--batch", "--passphrase", "", "--quick-gen-key", "Test <test@example.org>", "rsa3072", "sign", "never")
	defer host("gpgconf", "--kill", "all")
	host("gpg", "--batch", "--yes", "--armor", "--output", filepath.Join(s.repo, "key.asc"), "--export")
	if sign {
		packages, err := filepath.Glob(filepath.Join(tree, arch, "*.rpm"))
		require.NoError(t, err)
		require.Len(t, packages, 2)
		host("rpmsign", append([]string{"--define", "__gpg /usr/bin/gpg", "--define", "_gpg_name test@example.org", "--addsign"}, packages...)...)
	}
	host("createrepo_c", "--quiet", tree)
	host("gpg", "--batch", "--armor", "--detach-sign", filepath.Join(tree, "repodata/repomd.xml"))
}

// The package managers' command lines, with what to install to come.
const (
	dnf    = "dnf -y install "
	zypper = "zypper --non-interactive --gpg-auto-import-keys install "
)

func TestPackageManagersInstallOnWhatTheSystemHolds(t *testing.T) {
	for _, arch := range []string{"x86_64", "aarch64"} {
		t.Run(arch, func(t *testing.T) {
			s := newSystem(t, arch)
			s.publish(arch, true)

			out, err := s.run("rpm -q distro-bridge && rpm -q --whatprovides zlib-devel", func(spec *sandbox.Spec) {
				spec.UID, spec.GID, spec.Privileges = 1000, 1000, sandbox.None
			})
			require.NoError(t, err, out)
			bridgePackage := "distro-bridge-12-1." + arch
			require.Equal(t, bridgePackage+"\n"+bridgePackage+"\n", out, "anybody may ask")

			for name, install := range map[string]string{"dnf": dnf, "zypper": zypper} {
				begin := time.Now()
				out, err := s.run(install+"hello && cat /opt/hello && rpm -q hello", nil)
				require.NoError(t, err, out)
				require.True(t, strings.HasSuffix(out, fmt.Sprintf("hello\nhello-1-1.%s\n", arch)), out)
				t.Logf("%s installs on %s in %s", name, arch, time.Since(begin).Round(100*time.Millisecond))
			}
			if !emulate.Native(arch) {
				return // what follows is the package managers' own logic, the same everywhere
			}
			for name, install := range map[string]string{"dnf": dnf, "zypper": zypper} {
				out, err := s.run(install+"lost", nil)
				var exit *sandbox.ExitError
				require.ErrorAs(t, err, &exit, out)
				require.Contains(t, out, "nothing provides no-such-thing needed by lost-1-1."+arch, name)
			}
			s.publish(arch, false)
			for name, install := range map[string]string{"dnf": dnf, "zypper": zypper} {
				out, err := s.run(install+"hello", nil)
				var exit *sandbox.ExitError
				require.ErrorAs(t, err, &exit, out)
				require.Contains(t, strings.ToLower(out), "signed", "%s refuses what is not signed", name)
			}
		})
	}
}

func TestProgramsOfTheImageWork(t *testing.T) {
	for _, arch := range []string{"x86_64", "aarch64"} {
		t.Run(arch, func(t *testing.T) {
			s := newSystem(t, arch)
			require.NoError(t, os.Mkdir(filepath.Join(s.repo, "clients"), 0o755))
			out, err := s.run(`set -e
uname -m
id -un
awk 'BEGIN { print "awk" }'
perl -MPOSIX -e 'print "perl\n"'
python3 -c 'import rpm, dnf; print("python")'
cd /build
printf 'int main(void) { return 0; }' > a.c && gcc a.c && ./a.out && echo gcc
printf 'end\n' > a.f90 && gfortran a.f90 && ./a.out && echo gfortran
printf '#include <zlib.h>\nint main() { return zlibVersion()[0] != 49; }' > a.cc && g++ a.cc -lz && ./a.out && echo g++
ldconfig -p | grep -c libz.so.1
test ! -s /etc/machine-id && test ! -s /etc/resolv.conf && cat /etc/hostname
`, func(spec *sandbox.Spec) {
				spec.UID, spec.GID, spec.Privileges = 1000, 1000, sandbox.None
				spec.Env = []string{"HOME=/build", "PATH=/usr/bin:/bin:/usr/sbin:/sbin"}
			})
			require.NoError(t, err, out)
			require.Equal(t, arch+"\nbuilder\nawk\nperl\npython\ngcc\ngfortran\ng++\n1\nlocalhost\n", out)
		})
	}
}
