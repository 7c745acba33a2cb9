package matrix

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/ohpc-build/ohpc-build/matrix/report"
	"github.com/ohpc-build/ohpc-build/recipes"
	"github.com/ohpc-build/ohpc-build/repo/publish"
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
	var all []publish.Snapshot
	for _, t := range targets {
		all = append(all, m.snapshots[t.Name])
	}
	if err := publish.Publish(ctx, all...); err != nil {
		return err
	}
	for _, s := range all {
		path := filepath.Join("repos", "OpenHPC", s.Release, s.Target)
		m.report.Snapshots = append(m.report.Snapshots, report.Snapshot{
			Target: s.Target, ID: s.ID, Path: path, Packages: s.Packages, Published: true,
		})
		stage.Begin(s.Target)
		stage.End(s.Target, path)
	}
	return nil
}
