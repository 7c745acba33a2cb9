package debian

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/ohpc-build/ohpc-build/builder/image"
)

// demandTimeout bounds one question to the archive and its downloads.
const demandTimeout = 20 * time.Minute

// Deb is a package of the archive that was downloaded.
type Deb struct {
	Name, Version, Arch string // Debian's names
	URL                 string
	Path                string
}

// Download brings packages and all that they need beyond what a system holds into
// dir. The system is told by the folder that has its var/lib/dpkg. It is this host's
// apt that resolves and downloads, as mmdebstrap does: nothing is emulated, and the
// archive's signature is verified.
func (b Bootstrap) Download(ctx context.Context, system, arch string, packages []string, dir string) ([]Deb, error) {
	named := Bootstrap{Suite: b.Suite, Components: b.Components, Packages: packages}
	if err := named.check(); err != nil {
		return nil, err
	}
	if _, err := exec.LookPath("apt-get"); err != nil {
		return nil, &MissingError{What: "apt-get", Package: "apt"}
	}
	debArch, err := image.DebianArch(arch)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, demandTimeout, fmt.Errorf("apt ran past its limit of %s", demandTimeout))
	defer cancel()
	sources, proxies, err := b.sources(ctx)
	if err != nil {
		return nil, err
	}
	for _, sub := range []string{"lists/partial", "cache/archives/partial", "etc"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
			return nil, err
		}
	}
	list := filepath.Join(dir, "etc", "sources.list")
	if err := os.WriteFile(list, []byte(strings.Join(sources, "\n")+"\n"), 0o644); err != nil {
		return nil, err
	}
	options := []string{"--assume-yes", "--no-install-recommends"}
	for _, option := range append([]string{
		"APT::Architecture=" + debArch, "APT::Architectures=" + debArch,
		"Dir::Etc=" + filepath.Join(dir, "etc"), "Dir::Etc::sourcelist=" + list, "Dir::Etc::sourceparts=/dev/null",
		"Dir::State=" + dir, "Dir::State::lists=" + filepath.Join(dir, "lists"), "Dir::Cache=" + filepath.Join(dir, "cache"),
		"Dir::State::status=" + filepath.Join(system, "var/lib/dpkg/status"),
		"Acquire::Languages=none", "Acquire::Retries=3", "Acquire::http::Timeout=30", "Acquire::https::Timeout=30",
		"Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false",
		// The folder is the user's own, and another user may not enter it.
		"APT::Sandbox::User=root", "Debug::NoLocking=true",
	}, proxies...) {
		options = append(options, "--option", option)
	}
	apt := func(args ...string) (string, error) {
		return b.apt(ctx, arch, append(slices.Clone(options), args...))
	}
	if _, err := apt("update", "--error-on=any"); err != nil {
		return nil, err
	}
	install := append([]string{"install", "--"}, packages...)
	told, err := apt(append([]string{"--print-uris"}, install...)...)
	if err != nil {
		return nil, err
	}
	if _, err := apt(append([]string{"--download-only"}, install...)...); err != nil {
		return nil, err
	}
	return parseURIs(told, filepath.Join(dir, "cache", "archives"))
}

// apt runs this host's apt-get and returns what it prints.
func (b Bootstrap) apt(ctx context.Context, arch string, args []string) (string, error) {
	cmd := exec.CommandContext(ctx, "apt-get", args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8", "DEBIAN_FRONTEND=noninteractive")
	// Its methods are processes of their own, which must not outlive it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = killPatience
	if err := cmd.Run(); err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		last := &tail{}
		fmt.Fprintf(last, "%s\n%s", out.String(), errs.String())
		return "", &DownloadError{Suite: b.Suite, Arch: arch, Tail: last.String(), Err: err}
	}
	return out.String(), nil
}

// sources are the archive as apt knows archives, and the way to it.
func (b Bootstrap) sources(ctx context.Context) (lines, proxies []string, err error) {
	components := b.Components
	if len(components) == 0 {
		components = []string{"main"}
	}
	host, err := readApt(ctx)
	if err != nil {
		return nil, nil, err
	}
	for _, option := range host.proxies {
		name, value, _ := strings.Cut(option, " ")
		proxies = append(proxies, name+"="+strings.Trim(value, `"`))
	}
	for _, m := range b.Mirrors {
		if !strings.HasPrefix(m, "deb ") {
			m = fmt.Sprintf("deb [signed-by=%s] %s %s %s", Keyring, m, b.Suite, strings.Join(components, " "))
		}
		lines = append(lines, m)
	}
	if len(lines) == 0 {
		lines = host.mirrors(b.Suite, components)
	}
	if len(lines) == 0 {
		return nil, nil, fmt.Errorf("packages of %s cannot be downloaded: this host's apt has no archive of it; name one in ohpc-build.yaml: mirrors: {debian: ADDRESS}", b.Suite)
	}
	return lines, proxies, nil
}

// uri is a line of apt-get --print-uris: 'address' file size checksum.
var uri = regexp.MustCompile(`^'([^']+)' ([A-Za-z0-9.+~%_-]+)_([A-Za-z0-9.+~%:-]+)_([a-z0-9]+)\.deb \d+`)

// parseURIs finds the files that apt told of.
func parseURIs(text, dir string) ([]Deb, error) {
	var debs []Deb
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "'") {
			continue
		}
		m := uri.FindStringSubmatch(line)
		if m == nil {
			return nil, fmt.Errorf("apt names a package in a way that is not understood: %q", strings.TrimSpace(line))
		}
		version, err := url.PathUnescape(m[3])
		if err != nil {
			return nil, fmt.Errorf("apt names a package in a way that is not understood: %q", strings.TrimSpace(line))
		}
		path := filepath.Join(dir, m[2]+"_"+m[3]+"_"+m[4]+".deb")
		if fi, err := os.Lstat(path); err != nil || !fi.Mode().IsRegular() {
			return nil, fmt.Errorf("apt did not leave the package %s", filepath.Base(path))
		}
		debs = append(debs, Deb{Name: m[2], Version: version, Arch: m[4], URL: m[1], Path: path})
	}
	slices.SortFunc(debs, func(a, b Deb) int { return cmp.Compare(a.Path, b.Path) })
	return debs, nil
}

// DownloadError says that apt did not resolve or download.
type DownloadError struct {
	Suite, Arch string
	Tail        string // the last lines that it printed
	Err         error
}

func (e *DownloadError) Error() string {
	return fmt.Sprintf("downloading packages of %s for %s: apt-get: %v\n%s", e.Suite, e.Arch, e.Err, e.Tail)
}

func (e *DownloadError) Unwrap() error { return e.Err }
