package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/ohpc-build/ohpc-build/ci/bench/figure"
)

// A job may take this much longer than the same rpmbuild by hand: so many times, or
// so many seconds, whichever is more.
const (
	overheadTimes   = 1.05
	overheadSeconds = 2.0
)

// tiny is a spec that builds nothing, so that its job is nothing but overhead.
const tiny = `Name: tiny
Version: 1.0
Release: 1
Summary: Nothing
License: Apache-2.0
BuildArch: noarch

%description
A package that is quickly built.

%prep
%setup -q -c -T

%install
mkdir -p %{buildroot}/opt/tiny
echo tiny > %{buildroot}/opt/tiny/file

%files
/opt/tiny

%changelog
* Mon Jan 01 2024 ohpc-build - 1.0-1
- First version
`

// catalogue is the embedded catalogue, relative to the folder of the checkout.
const catalogue = "recipes/catalog"

// overhead builds a package with its build root and its sources at hand, and right
// before and after runs the same rpmbuild by hand in a chroot of the same layers.
func overhead(ctx context.Context, b *bench) ([]figure.Figure, error) {
	h, err := newByHand(ctx, b)
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(h.state)
	var figures []figure.Figure
	for _, m := range []struct {
		recipe string
		runs   int
	}{{"tiny", 5}, {"hwloc", 1}} {
		f, err := h.measure(ctx, m.recipe, b.times(m.runs))
		if err != nil {
			return figures, err
		}
		figures = append(figures, *f)
	}
	return figures, nil
}

// byHand is a state folder that knows all but the packages that are built, and a
// catalogue whose specs can be changed.
type byHand struct {
	*bench
	state   string
	catalog string
	changes int
}

func newByHand(ctx context.Context, b *bench) (*byHand, error) {
	h := &byHand{bench: b, catalog: filepath.Join(b.work, "catalog")}
	if err := os.CopyFS(h.catalog, os.DirFS(catalogue)); err != nil {
		return nil, fmt.Errorf("copying the catalogue (bench runs in the top folder of the checkout): %w", err)
	}
	dir := filepath.Join(h.catalog, "components", "dev-tools", "tiny")
	if err := os.MkdirAll(filepath.Join(dir, "SPECS"), 0o755); err != nil {
		return nil, err
	}
	for name, text := range map[string]string{
		"recipe.yaml": "name: tiny\nkind: component\ngroup: dev-tools\nsummary: Nothing\nnoarch: any\n", "SPECS/tiny.spec": tiny,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return nil, err
		}
	}
	var err error
	if h.state, err = b.cold(ctx); err != nil {
		return nil, err
	}
	return h, b.linkSources(h.state)
}

// measure builds a recipe n times, each time between two runs by hand.
func (h *byHand) measure(ctx context.Context, recipe string, n int) (*figure.Figure, error) {
	h.say("building %s, to have its build root", recipe)
	if _, _, err := h.build(ctx, recipe, "--keep=all"); err != nil {
		return nil, err
	}
	chroot, err := h.chroot(recipe)
	if err != nil {
		return nil, err
	}
	var ours, theirs, ourCPU, theirCPU []time.Duration
	for i := 0; i <= n; i++ {
		r, err := chroot.rpmbuild(ctx)
		if err != nil {
			return nil, err
		}
		theirs, theirCPU = append(theirs, r.took), append(theirCPU, r.cpu)
		if i == n {
			break
		}
		if err := h.change(recipe); err != nil {
			return nil, err
		}
		took, cpu, err := h.build(ctx, recipe)
		if err != nil {
			return nil, err
		}
		ours, ourCPU = append(ours, took), append(ourCPU, cpu)
	}
	f := &figure.Figure{
		Name: "overhead-" + recipe, Unit: figure.Seconds, Ours: figure.Middle(ours), Runs: n, CPU: figure.Middle(ourCPU),
		What: fmt.Sprintf("the job that builds %s, its build root and sources at hand", recipe),
	}
	byHand := figure.Middle(theirs)
	f.Against("rpmbuild by hand in a chroot of the same layers", byHand, len(theirs))
	f.Lines = append(f.Lines, fmt.Sprintf("processor time: %.2f s, the plan and all else of ohpc-build included; by hand %.2f s", f.CPU, figure.Middle(theirCPU)))
	f.AtMost(max(overheadTimes*byHand, byHand+overheadSeconds))
	return f, nil
}

// build builds a recipe and returns how long its own job took, and the processor
// time of the whole command.
func (h *byHand) build(ctx context.Context, recipe string, flags ...string) (took, cpu time.Duration, err error) {
	out, err := h.folder("out-")
	if err != nil {
		return 0, 0, err
	}
	defer os.RemoveAll(out)
	c := command{dir: h.work, name: h.program, args: append([]string{
		"build", recipe, "--catalog", h.catalog, "--arch", hostArch(), "--jobs", "1", "--state", h.state, "--out", out, "--progress", "none",
	}, flags...)}
	r, err := c.call(ctx)
	if err != nil {
		return 0, 0, err
	}
	made, err := readBuilt(out, recipe, hostArch())
	if err != nil {
		return 0, 0, err
	}
	return time.Duration(made.seconds * float64(time.Second)), r.cpu, nil
}

// change changes a spec in such a way that it has to be built again.
func (h *byHand) change(recipe string) error {
	spec := filepath.Join(h.catalog, "components", "dev-tools", recipe, "SPECS", recipe+".spec")
	text, err := os.ReadFile(spec)
	if err != nil {
		return err
	}
	h.changes++
	return os.WriteFile(spec, fmt.Appendf(nil, "# change %d\n%s", h.changes, text), 0o644)
}

// chroot is the build root of a job, to be used by hand.
type chroot struct {
	work string
	top  string // SPECS and SOURCES as the job had them
	Run  struct {
		Layers []string `json:"layers"`
		Args   []string `json:"args"`
		Env    []string `json:"env"`
		Topdir string   `json:"topdir"`
		UID    int      `json:"uid"`
		GID    int      `json:"gid"`
	} `json:"run"`
}

// chroot reads what was kept of a recipe's job.
func (h *byHand) chroot(recipe string) (*chroot, error) {
	found, err := filepath.Glob(filepath.Join(h.state, "kept", recipe+"_*", "run.json"))
	if err != nil || len(found) != 1 {
		return nil, fmt.Errorf("the root of the build of %s was not kept: found %q", recipe, found)
	}
	c := &chroot{work: h.work, top: filepath.Join(filepath.Dir(found[0]), "top")}
	text, err := os.ReadFile(found[0])
	if err != nil {
		return nil, err
	}
	return c, json.Unmarshal(text, c)
}

// inChroot mounts what a build needs, in a mount namespace of its own, and becomes
// the build: options of the overlay, root, build folder, its place, user.
const inChroot = `set -e
mount -t overlay overlay -o "$1" "$2"
mount --bind "$3" "$2$4"
mount -t proc proc "$2/proc"
mount --rbind /dev "$2/dev"
root=$2 user=$5
shift 5
exec chroot --userspec="$user" "$root" /usr/bin/env -i "$@"`

// rpmbuild runs the job's rpmbuild in a fresh copy of its build folder. Preparing the
// folders does not count.
func (c *chroot) rpmbuild(ctx context.Context) (result, error) {
	dir, err := os.MkdirTemp(c.work, "chroot-")
	if err != nil {
		return result{}, err
	}
	defer os.RemoveAll(dir)
	root, upper, work, top := filepath.Join(dir, "root"), filepath.Join(dir, "upper"), filepath.Join(dir, "work"), filepath.Join(dir, "top")
	for _, d := range []string{root, work, filepath.Join(upper, c.Run.Topdir), top} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return result{}, err
		}
	}
	for _, sub := range []string{"SPECS", "SOURCES"} {
		if err := os.CopyFS(filepath.Join(top, sub), os.DirFS(filepath.Join(c.top, sub))); err != nil {
			return result{}, err
		}
	}
	if err := os.Mkdir(filepath.Join(top, "tmp"), 0o755); err != nil {
		return result{}, err
	}
	user := fmt.Sprintf("%d:%d", c.Run.UID, c.Run.GID)
	if _, err := (command{name: "chown", args: []string{"-R", user, top}}).call(ctx); err != nil {
		return result{}, err
	}
	options := "lowerdir=" + strings.Join(c.Run.Layers, ":") + ",upperdir=" + upper + ",workdir=" + work
	run := command{name: "unshare", args: []string{"--mount", "--", "sh", "-c", inChroot, "chroot", options, root, top, c.Run.Topdir, user}}
	run.args = append(run.args, c.Run.Env...)
	run.args = append(run.args, "sh", "-c", `cd "$1" && shift && exec "$@"`, "build", c.Run.Topdir)
	run.args = append(run.args, c.Run.Args...)
	return run.call(ctx)
}
