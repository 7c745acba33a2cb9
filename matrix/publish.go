package matrix

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/ohpc-build/ohpc-build/matrix/report"
	"github.com/ohpc-build/ohpc-build/recipes"
	"github.com/ohpc-build/ohpc-build/repo/channel"
	"github.com/ohpc-build/ohpc-build/repo/layout"
	"github.com/ohpc-build/ohpc-build/repo/publish"
	"github.com/ohpc-build/ohpc-build/repo/rpmmd"
	"github.com/ohpc-build/ohpc-build/repo/snapshot"
)

// reposRoot is the folder that is served.
func (m *Matrix) reposRoot() string { return filepath.Join(m.opt.Out, "repos") }

// targets are those of the run's cells, in their order.
func (m *Matrix) targets() []*recipes.Target {
	var targets []*recipes.Target
	for _, c := range m.cells {
		if !slices.Contains(targets, c.Target) {
			targets = append(targets, c.Target)
		}
	}
	return targets
}

// architectures are those of a target's cells.
func (m *Matrix) architectures(t *recipes.Target) []string {
	var archs []string
	for _, c := range m.cells {
		if c.Target == t {
			archs = append(archs, c.Arch)
		}
	}
	return archs
}

func (m *Matrix) publishSpec(t *recipes.Target) publish.Spec {
	return publish.Spec{
		Root:    m.reposRoot(),
		Release: m.opt.Catalog.Release,
		Target:  t.Name,
		Arches:  m.architectures(t),
		BaseURL: m.opt.URL,
		Key:     m.key,
	}
}

// makeSnapshots makes of each target's packages one signed repository for all its
// architectures. Nothing refers to it yet.
func (m *Matrix) makeSnapshots(ctx context.Context) error {
	targets := m.targets()
	stage := m.opt.Progress.Stage("snapshot", len(targets))
	defer stage.Close()
	for _, t := range targets {
		stage.Begin(t.Name)
		var packages []publish.Package
		for _, j := range m.jobs.Plan.Jobs {
			if j.Target != t.Name {
				continue
			}
			for _, p := range m.jobs.Result(j.ID).Packages {
				packages = append(packages, publish.Package{Digest: m.signed[p.Digest], Origin: j.ID, File: p.File})
			}
		}
		s, err := publish.Make(ctx, m.store, m.publishSpec(t), packages)
		if err != nil {
			stage.End(t.Name, "failed: "+err.Error())
			return err
		}
		m.snapshots[t.Name] = s
		how := fmt.Sprintf("%d packages in %s", s.Packages, s.ID[:12])
		if s.Existed {
			how += ", as before"
		}
		stage.End(t.Name, how)
	}
	return nil
}

// publish moves the names that clients use to the snapshots, which have been
// validated, and reports them.
func (m *Matrix) publish(ctx context.Context) error {
	targets := m.targets()
	stage := m.opt.Progress.Stage("publish", len(targets))
	defer stage.Close()
	tree, err := channel.Open(m.reposRoot(), channel.Options{Wait: publishWait, Log: m.opt.Log})
	if err != nil {
		return err
	}
	defer tree.Close()
	if err := tree.Recover(ctx); err != nil {
		return err
	}
	var moves []channel.Move
	for _, t := range targets {
		s := m.snapshots[t.Name]
		move := channel.Move{Pointer: layout.Pointer{Release: s.Release, Channel: layout.Release, Target: s.Target}, To: s.ID, From: channel.Made}
		before, err := tree.Current(move.Pointer)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return err
		default:
			move.Was = before.ID
			if len(m.opt.Recipes) > 0 || len(m.opt.Families) > 0 || len(m.architectures(t)) < len(t.Architectures) {
				if err := refuseRemoval(before, s); err != nil {
					return err
				}
			}
		}
		moves = append(moves, move)
		updates, err := m.firstUpdates(ctx, tree, t)
		if err != nil {
			return err
		}
		moves = append(moves, updates...)
	}
	if err := tree.Move(ctx, moves...); err != nil {
		return err
	}
	for _, move := range moves {
		if move.Pointer.Channel == layout.Updates {
			continue
		}
		s := m.snapshots[move.Pointer.Target]
		path := filepath.Join("repos", filepath.FromSlash(move.Pointer.Link()))
		m.report.Snapshots = append(m.report.Snapshots, report.Snapshot{
			Target: s.Target, ID: s.ID, Path: path, Packages: s.Packages, Published: true,
		})
		stage.Begin(s.Target)
		stage.End(s.Target, path)
	}
	return nil
}

// firstUpdates publishes an empty repository of updates where there is none: the
// clients of a release look there too, and zypper fails when it finds nothing.
func (m *Matrix) firstUpdates(ctx context.Context, tree *channel.Tree, t *recipes.Target) ([]channel.Move, error) {
	at := layout.Pointer{Release: m.opt.Catalog.Release, Channel: layout.Updates, Target: t.Name}
	if _, err := tree.Current(at); !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	s, err := publish.Make(ctx, m.store, m.publishSpec(t), nil)
	if err != nil {
		return nil, err
	}
	return []channel.Move{{Pointer: at, To: s.ID, From: channel.Made}}, nil
}

// publishWait is for how long another run that publishes is waited for.
const publishWait = time.Minute

// refuseRemoval keeps a run of some recipes or architectures from publishing a
// repository that lacks what the published one has: its users would lose packages
// by a rebuild of others.
func refuseRemoval(current, next snapshot.Snapshot) error {
	before, err := packageNames(current.Dir)
	if err != nil {
		return err
	}
	after, err := packageNames(next.Dir)
	if err != nil {
		return err
	}
	var lost []string
	for name := range before {
		if !after[name] {
			lost = append(lost, name)
		}
	}
	if len(lost) == 0 {
		return nil
	}
	slices.Sort(lost)
	return &FailedError{What: fmt.Sprintf(
		"not published: the repository of %s would lose %s: this run is of some recipes or architectures only, and their results are out of date or not part of it; run matrix for all, or with another --out",
		next.Target, strings.Join(lost, ", "))}
}

// packageNames are the names and architectures in a snapshot.
func packageNames(dir string) (map[string]bool, error) {
	repomd, err := rpmmd.ReadRepomd(dir)
	if err != nil {
		return nil, err
	}
	primary, ok := repomd.Find("primary")
	if !ok {
		return nil, fmt.Errorf("%s: its metadata has no primary", dir)
	}
	r, err := rpmmd.OpenData(dir, primary)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	names := map[string]bool{}
	_, err = rpmmd.ReadPrimary(r, func(p rpmmd.Record) error {
		names[p.Name+"."+p.Arch] = true
		return nil
	})
	return names, err
}
