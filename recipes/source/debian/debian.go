package debian

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/ohpc-build/ohpc-build/recipes"
)

// Archives are the Debian archives that a host can reach. They are safe for
// concurrent use.
type Archives struct {
	mirror string // given by the user; otherwise the host's
	temp   func(pattern string) (string, error)

	mu    sync.Mutex
	known map[string]*aptLists // by mirror and suite
}

// New returns the archives of the given mirror or, when it is empty, of those
// that the host's apt is configured for. Temp makes a temporary folder.
func New(mirror string, temp func(pattern string) (string, error)) *Archives {
	return &Archives{mirror: mirror, temp: temp}
}

// Close removes the lists that were downloaded.
func (a *Archives) Close() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	var errs []error
	for _, l := range a.known {
		errs = append(errs, os.RemoveAll(l.dir))
	}
	a.known = nil
	return errors.Join(errs...)
}

// Mirrors are where a suite may be had, Debian's own mirrors before repositories
// that only name their suites alike.
func (a *Archives) Mirrors(ctx context.Context, suite string) ([]string, error) {
	if a.mirror != "" {
		return []string{a.mirror}, nil
	}
	const format = "$(REPO_URI)\t$(RELEASE)\t$(CODENAME)\t$(COMPONENT)\t$(ORIGIN)"
	out, err := apt(ctx, "", "apt-get", "indextargets", "--format", format)
	if err != nil {
		return nil, err
	}
	var debian, others []string
	for line := range strings.Lines(string(out)) {
		fields := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if len(fields) != 5 || (fields[1] != suite && fields[2] != suite) || fields[3] != "main" {
			continue
		}
		if fields[4] == "Debian" {
			debian = append(debian, fields[0])
		} else {
			others = append(others, fields[0])
		}
	}
	var found []string
	for _, uri := range append(debian, others...) {
		if !slices.Contains(found, uri) && !strings.ContainsAny(uri, " \t[]") {
			found = append(found, uri)
		}
	}
	if len(found) > 0 {
		return found, nil
	}
	found, err = defaultMirrors(ctx, suite)
	if err != nil {
		return nil, fmt.Errorf("this host's apt has no mirror of Debian %s configured (%w); name one with mirrors.debian in ohpc-build.yaml", suite, err)
	}
	return found, nil
}

// Download gets a file of a source package from a mirror into the folder dir,
// under its own name. The host's apt does it, so that its proxies, transports
// and credentials are used, but with lists of our own.
func (a *Archives) Download(ctx context.Context, mirror string, s recipes.Debian, dir string) error {
	lists, err := a.lists(ctx, mirror, s.Suite)
	if err != nil {
		return err
	}
	// An archive forgets versions, but a newer one often has the same upstream
	// file. The digest decides.
	var failures []string
	for _, version := range []string{s.Package + "=" + s.Version, s.Package} {
		if err := lists.download(ctx, version, dir); err != nil {
			failures = append(failures, fmt.Sprintf("%s: %v", version, err))
			continue
		}
		if filepath.Base(s.File) == s.File {
			if _, err := os.Lstat(filepath.Join(dir, s.File)); err == nil {
				return nil
			}
		}
		failures = append(failures, fmt.Sprintf("%s has no file %s, but %s", version, s.File, listed(dir)))
	}
	return errors.New(strings.Join(failures, "; "))
}

func listed(dir string) string {
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) == 0 {
		return "nothing"
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return strings.Join(names, ", ")
}

// lists downloads the index of a suite's sources once.
func (a *Archives) lists(ctx context.Context, mirror, suite string) (*aptLists, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	key := mirror + " " + suite
	if l := a.known[key]; l != nil {
		return l, nil
	}
	dir, err := a.temp("apt-")
	if err != nil {
		return nil, err
	}
	l := &aptLists{dir: dir}
	if err := l.update(ctx, mirror, suite); err != nil {
		os.RemoveAll(dir)
		return nil, err
	}
	if a.known == nil {
		a.known = map[string]*aptLists{}
	}
	a.known[key] = l
	return l, nil
}

// aptLists is a folder with everything that apt writes, so that nothing of the
// host's is touched.
type aptLists struct{ dir string }

// aptHooks undoes what a host may do after each update: these are not its lists.
const aptHooks = `#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear APT::Update::Post-Invoke-Stats;
`

func (l *aptLists) args(args ...string) []string {
	at := func(name string) string { return filepath.Join(l.dir, name) }
	return append([]string{
		"--config-file", at("apt.conf"),
		"--option", "Dir::Etc::SourceList=" + at("sources.list"),
		"--option", "Dir::Etc::SourceParts=/dev/null",
		"--option", "Dir::State::Lists=" + at("lists"),
		"--option", "Dir::Cache=" + at("cache"),
		"--option", "Dir::Cache::PkgCache=", "--option", "Dir::Cache::SrcPkgCache=",
		"--option", "Acquire::Languages=none",
		"--option", "Acquire::Retries=3",
		"--option", "Acquire::http::Timeout=30", "--option", "Acquire::https::Timeout=30",
	}, args...)
}

func (l *aptLists) update(ctx context.Context, mirror, suite string) error {
	for _, dir := range []string{"lists/partial", "cache/archives/partial"} {
		if err := os.MkdirAll(filepath.Join(l.dir, dir), 0o755); err != nil {
			return err
		}
	}
	// Who made the archive is not asked, nor when: what a recipe wants of it is
	// known by its digest, and the keys of Debian are not on every host.
	line := fmt.Sprintf("deb-src [trusted=yes check-valid-until=no] %s %s main\n", mirror, suite)
	if strings.Count(line, "\n") != 1 {
		return fmt.Errorf("%q cannot be a mirror", mirror)
	}
	for name, text := range map[string]string{"sources.list": line, "apt.conf": aptHooks} {
		if err := os.WriteFile(filepath.Join(l.dir, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	_, err := apt(ctx, l.dir, "apt-get", l.args("--error-on=any", "update")...)
	return err
}

// download gets the upstream files of a source package, "name" or "name=version",
// into dir.
func (l *aptLists) download(ctx context.Context, version, dir string) error {
	_, err := apt(ctx, dir, "apt-get", l.args("--only-source", "--download-only", "--tar-only", "source", "--", version)...)
	return err
}

// apt runs a program of apt in a folder and returns its standard output. The
// error holds what it complained about.
func apt(ctx context.Context, dir, name string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	// apt's downloaders are children of its own: all of them end with it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 5 * time.Second
	var out, complaints bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaints
	err := cmd.Run()
	switch {
	case errors.Is(err, exec.ErrNotFound):
		return nil, fmt.Errorf("this host has no %s, which Debian's sources are fetched with: %w", name, err)
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case err != nil:
		return nil, fmt.Errorf("%s (%w)", complaint(complaints.String()), err)
	}
	return out.Bytes(), nil
}

// complaint is what apt calls errors, in one line.
func complaint(stderr string) string {
	var errs []string
	for line := range strings.Lines(stderr) {
		if text, ok := strings.CutPrefix(strings.TrimSpace(line), "E: "); ok {
			errs = append(errs, text)
		}
	}
	if len(errs) == 0 {
		return "apt-get failed"
	}
	return strings.Join(errs, "; ")
}
