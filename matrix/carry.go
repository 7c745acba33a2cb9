package matrix

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"slices"

	"github.com/ohpc-build/ohpc-build/builder/buildroot"
	"github.com/ohpc-build/ohpc-build/internal/store"
	"github.com/ohpc-build/ohpc-build/matrix/repodata"
	"github.com/ohpc-build/ohpc-build/recipes"
	"github.com/ohpc-build/ohpc-build/repo/diff"
	"github.com/ohpc-build/ohpc-build/repo/publish"
	"github.com/ohpc-build/ohpc-build/repo/rpm"
	"github.com/ohpc-build/ohpc-build/repo/rpmmd"
	"github.com/ohpc-build/ohpc-build/repo/snapshot"
)

// packageName tells packages apart of which a repository offers one version.
type packageName struct{ name, arch string }

// carryOver adds to an overlay's packages those that its channel has already and that
// are still of use: neither made anew by this run, nor overtaken by the repository
// below. Overlays that are made one after the other do not take each other away.
func (m *Matrix) carryOver(ctx context.Context, t *recipes.Target, before *snapshot.Snapshot, packages []publish.Package) ([]publish.Package, error) {
	if m.base == nil || before == nil {
		return packages, nil
	}
	made, sources, err := m.namesOf(packages)
	if err != nil {
		return nil, err
	}
	below, err := m.newestBelow(ctx)
	if err != nil {
		return nil, err
	}
	channel, err := repodata.Open(ctx, before.Dir)
	if err != nil {
		return nil, err
	}
	records, err := channel.Records(ctx)
	if err != nil {
		return nil, err
	}
	for _, rec := range records {
		name := packageName{rec.Name, rec.Arch}
		if made[name] {
			continue
		}
		if evr, ok := below[name]; ok && rec.EVR.Compare(evr) <= 0 {
			m.opt.Log.Info("a package of the channel is not needed any more: the repository below has it",
				"channel", string(m.opt.Channel), "target", t.Name, "package", rec.Name+"-"+rec.EVR.String()+"."+rec.Arch, "below", evr.String())
			continue
		}
		ours := rec.Arch == noarch || slices.Contains(m.architectures(t), rec.Arch)
		p, err := m.carry(ctx, before.Dir, rec, func(source string) bool { return ours && sources[source] })
		if err != nil {
			return nil, fmt.Errorf("taking over %s of channel %s: %w", rec.Location, m.opt.Channel, err)
		}
		packages = append(packages, p...)
	}
	return packages, nil
}

// carry puts a package of a snapshot into the store, signed with the run's key: since
// the snapshot was made there may be a new one. There is none when the source package
// that it is from was built anew: the recipe does not make it any more, and whether it
// may go is for guard to say.
func (m *Matrix) carry(ctx context.Context, dir string, rec rpmmd.Record, anew func(source string) bool) ([]publish.Package, error) {
	if rec.Checksum.Type != "sha256" {
		return nil, fmt.Errorf("its metadata have a %s digest, and not the sha256 that snapshots are made with", rec.Checksum.Type)
	}
	d, err := store.ParseDigest("sha256:" + rec.Checksum.Value)
	if err != nil {
		return nil, err
	}
	if !m.store.Has(d) {
		if err := m.takeIn(ctx, dir, rec.Location, d); err != nil {
			return nil, err
		}
	}
	header, err := m.jobs.ReadHeader(d)
	if err != nil {
		return nil, err
	}
	if source, _, ok := rpm.SplitSource(header.SourceRPM); ok && anew(source) {
		return nil, nil
	}
	file := path.Base(rec.Location)
	signed, _, err := m.signPackage(ctx, buildroot.Package{File: file, Digest: d})
	if err != nil {
		return nil, err
	}
	return []publish.Package{{Digest: signed, Origin: "channel " + string(m.opt.Channel), File: file}}, nil
}

func (m *Matrix) takeIn(ctx context.Context, dir, location string, d store.Digest) error {
	root, err := os.OpenRoot(dir) // metadata cannot lead out of the snapshot
	if err != nil {
		return err
	}
	f, err := root.Open(location)
	if err == nil {
		_, err = m.store.PutVerified(ctx, f, d)
		err = errors.Join(err, f.Close())
	}
	return errors.Join(err, root.Close())
}

// namesOf are those of packages in the store, and the names of the source packages that
// they were built from.
func (m *Matrix) namesOf(packages []publish.Package) (names map[packageName]bool, sources map[string]bool, err error) {
	names, sources = map[packageName]bool{}, map[string]bool{}
	for _, p := range packages {
		header, err := m.jobs.ReadHeader(p.Digest)
		if err != nil {
			return nil, nil, err
		}
		names[packageName{header.Name, header.Arch}] = true
		if source, _, ok := rpm.SplitSource(header.SourceRPM); ok {
			sources[source] = true
		}
	}
	return names, sources, nil
}

// newestBelow are the packages of the repository that the run is an overlay on.
func (m *Matrix) newestBelow(ctx context.Context) (map[packageName]rpm.EVR, error) {
	if m.below == nil {
		below, err := newest(ctx, m.base.Dir)
		if err != nil {
			return nil, err
		}
		m.below = below
	}
	return m.below, nil
}

// newest are a repository's packages in their newest version.
func newest(ctx context.Context, dir string) (map[packageName]rpm.EVR, error) {
	repository, err := repodata.Open(ctx, dir)
	if err != nil {
		return nil, err
	}
	records, err := repository.Records(ctx)
	if err != nil {
		return nil, err
	}
	all := map[packageName]rpm.EVR{}
	for _, rec := range records {
		name := packageName{rec.Name, rec.Arch}
		if evr, ok := all[name]; !ok || evr.Compare(rec.EVR) < 0 {
			all[name] = rec.EVR
		}
	}
	return all, nil
}

// notMissed leaves out of what a channel loses what its clients get from the repository
// below, as new or newer.
func (m *Matrix) notMissed(ctx context.Context, removed []diff.Change) ([]diff.Change, error) {
	if m.base == nil || len(removed) == 0 {
		return removed, nil
	}
	below, err := m.newestBelow(ctx)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(removed, func(c diff.Change) bool {
		evr, ok := below[packageName{c.Name, c.Arch}]
		return ok && rpm.ParseEVR(c.Old).Compare(evr) <= 0
	}), nil
}

// archesWith are the architectures of a target that its snapshot is for: those of the
// run, and in an overlay those that its channel had.
func (m *Matrix) archesWith(t *recipes.Target, before *snapshot.Snapshot) []string {
	arches := m.architectures(t)
	if m.base == nil || before == nil {
		return arches
	}
	var all []string
	for _, a := range t.Architectures { // in their order: it tells whose source package is taken
		if slices.Contains(arches, a) || slices.Contains(before.Arches, a) {
			all = append(all, a)
		}
	}
	return all
}
