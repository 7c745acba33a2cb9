package rpmspec

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
)

// nobody is who reads specs when we are root.
const nobody = 65534

// limit bounds one question.
const limit = time.Minute

// rpmrc lets this machine read what BuildArch names for another one, as the program
// does: rpm holds BuildArch against the machine that it runs on, not against --target.
const rpmrc = "buildarch_compat: x86_64: aarch64 noarch\nbuildarch_compat: aarch64: x86_64 noarch\n"

// Host is this machine's rpmspec, and a folder in which it finds what it reads.
type Host struct {
	tree string // folder of the tree
	dir  string // working folder
	arch string // rpm's name
}

// NewHost prepares a folder in dir, which the caller removes.
func NewHost(ctx context.Context, tree, dir string) (*Host, error) {
	if _, err := exec.LookPath("rpmspec"); err != nil {
		return nil, fmt.Errorf("asking rpmspec: %w", err)
	}
	arch, err := exec.CommandContext(ctx, "rpm", "--eval", "%{_host_cpu}").Output()
	if err != nil {
		return nil, fmt.Errorf("asking rpm for the machine's architecture: %w", err)
	}
	h := &Host{tree: tree, dir: dir, arch: strings.TrimSpace(string(arch))}
	// The first is where rpm looks before 4.20, the second since.
	for _, file := range []string{"home/.rpmrc", "home/.config/rpm/rpmrc"} {
		path := filepath.Join(dir, file)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return nil, err
		}
		if err := os.WriteFile(path, []byte(rpmrc), 0o644); err != nil {
			return nil, err
		}
	}
	return h, openToAll(dir)
}

// openToAll lets nobody read a folder wherever it lies, umask or not.
func openToAll(dir string) error { return os.Chmod(dir, 0o755) }

// Answer is what rpmspec says of one job for one architecture.
type Answer struct {
	Job  *Job
	Arch string

	Packages      []Package
	BuildRequires []string
	Err           error // rpmspec's own words when it cannot read the spec
}

// Ask puts the two questions that the program puts (what is built, what does that
// take) about each job of a plan and each architecture it is for: as many at a time
// as there are processors. It tells how long the asking took; copying the files to
// where rpmspec looks for them does not count.
func (h *Host) Ask(ctx context.Context, p *Plan) ([]Answer, time.Duration, error) {
	var answers []Answer
	folders := make([]string, 0, len(p.Jobs))
	for i := range p.Jobs {
		j := &p.Jobs[i]
		if j.Spec == "" {
			continue // a list without a spec
		}
		folder, err := h.sources(j)
		if err != nil {
			return nil, 0, fmt.Errorf("laying out %s: %w", j.ID, err)
		}
		for _, arch := range append([]string{j.Arch}, j.Shared...) {
			answers = append(answers, Answer{Job: j, Arch: arch})
			folders = append(folders, folder)
		}
	}
	begin := time.Now()
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.NumCPU())
	for i := range answers {
		group.Go(func() error {
			if err := context.Cause(ctx); err != nil {
				return err
			}
			h.ask(ctx, &answers[i], folders[i])
			return nil
		})
	}
	err := group.Wait()
	return answers, time.Since(begin), err
}

// sources is a folder with the job's files, made once for all jobs of the same.
func (h *Host) sources(j *Job) (string, error) {
	sum := sha256.Sum256([]byte(strings.Join(j.Files, "\n")))
	folder := filepath.Join(h.dir, "sources", hex.EncodeToString(sum[:16]))
	if _, err := os.Stat(folder); err == nil {
		return folder, nil
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return "", err
	}
	if err := openToAll(filepath.Dir(folder)); err != nil {
		return "", err
	}
	for _, file := range j.Files {
		text, err := os.ReadFile(filepath.Join(h.tree, filepath.FromSlash(file)))
		if err != nil {
			return "", err
		}
		path := filepath.Join(folder, filepath.Base(file))
		if err := os.WriteFile(path, text, 0o644); err != nil {
			return "", err
		}
	}
	return folder, openToAll(folder)
}

// format makes rpmspec print lines of fields. Depflags are how rpm writes <, = and >.
const format = `N\t%{NAME}\t%|EPOCH?{%{EPOCH}:}:{}|%{VERSION}-%{RELEASE}\t%{ARCH}\n` +
	`[P\t%{PROVIDENAME} %{PROVIDEFLAGS:depflags} %{PROVIDEVERSION}\n]` +
	`[R\t%{REQUIRENAME} %{REQUIREFLAGS:depflags} %{REQUIREVERSION}\n]`

func (h *Host) ask(ctx context.Context, a *Answer, folder string) {
	built, err := h.query(ctx, a, folder, "builtrpms")
	if err != nil {
		a.Err = err
		return
	}
	source, err := h.query(ctx, a, folder, "srpm")
	if err != nil {
		a.Err = err
		return
	}
	a.Packages = parse(built)
	for _, s := range parse(source) {
		a.BuildRequires = append(a.BuildRequires, s.Requires...)
	}
}

func (h *Host) query(ctx context.Context, a *Answer, folder, what string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	args := []string{"--query", "--" + what, "--queryformat", format, "--define", "_sourcedir " + folder}
	if a.Arch != h.arch {
		args = append(args, "--target", a.Arch+"-linux")
	}
	for _, name := range slices.Sorted(maps.Keys(a.Job.Macros)) {
		args = append(args, "--define", name+" "+a.Job.Macros[name])
	}
	args = append(args, "--", filepath.Join(folder, filepath.Base(a.Job.Spec)))
	cmd := exec.CommandContext(ctx, "rpmspec", args...)
	cmd.Dir = h.dir
	cmd.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=" + filepath.Join(h.dir, "home")}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if os.Geteuid() == 0 {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: nobody, Gid: nobody}
	}
	// Whatever a spec started goes as well.
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	var out, errout bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errout
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("rpmspec --%s: %w: %s", what, err, strings.TrimSpace(errout.String()))
	}
	return out.String(), nil
}

func parse(text string) []Package {
	var packages []Package
	for line := range strings.Lines(text) {
		fields := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		switch {
		case fields[0] == "N" && len(fields) == 4:
			packages = append(packages, Package{Name: fields[1], EVR: fields[2], Arch: fields[3]})
		case len(packages) == 0 || len(fields) != 2:
		case fields[0] == "P":
			p := &packages[len(packages)-1]
			p.Provides = append(p.Provides, fields[1])
		case fields[0] == "R":
			p := &packages[len(packages)-1]
			p.Requires = append(p.Requires, fields[1])
		}
	}
	return packages
}

// String names the job, and the architecture where it is another than the job's own.
func (a *Answer) String() string {
	if a.Arch == a.Job.Arch {
		return a.Job.ID
	}
	return a.Job.ID + " for " + a.Arch
}
