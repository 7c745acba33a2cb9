package matrix

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"time"

	"github.com/ohpc-build/ohpc-build/matrix/groups"
	"github.com/ohpc-build/ohpc-build/matrix/report"
	"github.com/ohpc-build/ohpc-build/recipes"
	"github.com/ohpc-build/ohpc-build/repo/channel"
	"github.com/ohpc-build/ohpc-build/repo/diff"
	"github.com/ohpc-build/ohpc-build/repo/layout"
	"github.com/ohpc-build/ohpc-build/repo/publish"
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
		Memory:  filepath.Join(m.opt.State, "repodata", t.Name+".packages"),
		Log:     m.opt.Log,
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
			if j.Target != t.Name || !m.inSnapshot(j) {
				continue
			}
			for _, p := range m.jobs.Result(j.ID).Packages {
				packages = append(packages, publish.Package{Digest: m.signed[p.Digest], Origin: j.ID, File: p.File})
			}
		}
		spec := m.publishSpec(t)
		previous, err := m.published(spec)
		if err != nil {
			return err
		}
		spec.Previous, spec.Arches = previous, m.archesWith(t, previous)
		if packages, err = m.carryOver(ctx, t, previous, packages); err != nil {
			return err
		}
		if spec.Groups, err = groups.Of(ctx, m.store, packages); err != nil {
			return err
		}
		s, err := publish.Make(ctx, m.store, spec, packages)
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

// published is the snapshot that the channel's clients have, nil for none.
func (m *Matrix) published(spec publish.Spec) (*snapshot.Snapshot, error) {
	tree, err := channel.Open(spec.Root, channel.Options{})
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil //nolint:nilnil // nothing was ever published
	}
	if err != nil {
		return nil, err
	}
	defer tree.Close()
	s, err := tree.Current(layout.Pointer{Release: spec.Release, Channel: m.opt.Channel, Target: spec.Target})
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil //nolint:nilnil // nothing was published in this channel
	}
	return &s, err
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
	err = tree.Hold(ctx, func(tree *channel.Tree) error {
		var moves []channel.Move
		for _, t := range targets {
			further, err := m.move(ctx, tree, m.snapshots[t.Name])
			if err != nil {
				return err
			}
			moves = append(moves, further...)
		}
		return tree.Move(ctx, moves...)
	})
	if err != nil {
		return err
	}
	for _, t := range targets {
		s := m.snapshots[t.Name]
		path := filepath.Join("repos", filepath.FromSlash(m.pointer(s).Link()))
		m.report.Snapshots = append(m.report.Snapshots, report.Snapshot{
			Target: s.Target, ID: s.ID, Path: path, Packages: s.Packages, Published: true,
		})
		stage.Begin(s.Target)
		stage.End(s.Target, path)
	}
	return nil
}

// pointer is what moves to a snapshot.
func (m *Matrix) pointer(s snapshot.Snapshot) layout.Pointer {
	return layout.Pointer{Release: s.Release, Channel: m.opt.Channel, Target: s.Target}
}

// move lets the run's channel point to a snapshot, unless that would harm those
// who rely on it. Clients of a release look for updates too, and zypper fails when
// it finds nothing there: an empty repository is published with the first release.
func (m *Matrix) move(ctx context.Context, tree *channel.Tree, s snapshot.Snapshot) ([]channel.Move, error) {
	move := channel.Move{Pointer: m.pointer(s), To: s.ID, From: channel.Made}
	before, err := tree.Current(move.Pointer)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, err
	default:
		move.Was = before.ID
		if err := errors.Join(m.guard(ctx, move.Pointer, before, s), m.guardStanding(tree, move.Pointer, before.ID, s.ID)); err != nil {
			return nil, err
		}
	}
	moves := []channel.Move{move}
	updates := layout.Pointer{Release: s.Release, Channel: layout.Updates, Target: s.Target}
	if m.opt.Channel != layout.Release {
		return moves, nil
	}
	if _, err := tree.Current(updates); errors.Is(err, fs.ErrNotExist) {
		none, err := publish.Empty(ctx, m.key, s, tree.Lock())
		if err != nil {
			return nil, err
		}
		moves = append(moves, channel.Move{Pointer: updates, To: none.ID, From: channel.Made})
	} else if err != nil {
		return nil, err
	}
	return moves, nil
}

// guard keeps packages of a channel that people rely on from going or getting
// older. What has changed without a new release is only told: a new image may
// change any package of a run.
func (m *Matrix) guard(ctx context.Context, p layout.Pointer, before, after snapshot.Snapshot) error {
	if !p.Channel.Guarded() || before.ID == after.ID {
		return nil
	}
	d, err := diff.Snapshots(ctx, before, after)
	if err != nil {
		return err
	}
	if n := len(d.Changed); n > 0 {
		m.opt.Log.Warn("packages have changed and their version and release have not: clients that have them will not get the new ones",
			"channel", p.String(), "packages", n, "first", d.Changed[0].String())
	}
	if d.Removed, err = m.notMissed(ctx, d.Removed); err != nil {
		return err
	}
	allow := m.opt.Allow
	allow.Changed = true
	err = d.Refuse(p.String(), allow)
	var refused *diff.RefusedError
	if !errors.As(err, &refused) {
		return err
	}
	hint := ""
	if m.partial(p.Target) && len(d.Removed) > 0 {
		hint = "; this run is of some recipes, families or architectures only, and the others' results are out of date or not part of it: run matrix for all"
	}
	return &FailedError{What: refused.Error() + hint + "; or publish in another --channel, such as factory"}
}

// partial tells whether a run leaves out some of a target.
func (m *Matrix) partial(target string) bool {
	if len(m.opt.Recipes) > 0 || len(m.opt.Families) > 0 {
		return true
	}
	for _, t := range m.targets() {
		if t.Name == target {
			return len(m.architectures(t)) < len(t.Architectures)
		}
	}
	return false
}

// publishWait is for how long another run that publishes is waited for.
const publishWait = time.Minute
