package builder

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/ohpc-build/ohpc-build/builder/hints"
	"github.com/ohpc-build/ohpc-build/builder/sandbox"
	"github.com/ohpc-build/ohpc-build/internal/store"
	"github.com/ohpc-build/ohpc-build/repo/rpm"
)

// recordPackages is where the packages of an RPM distribution's image are kept.
const recordPackages = "image-packages"

// maxPackageList bounds that list, in bytes.
const maxPackageList = 512 << 20

// watched is what learns which files a job opens, if anything is to be made of it.
func watched(job Job) *sandbox.Opened {
	if len(job.Requires) == 0 {
		return nil
	}
	return &sandbox.Opened{}
}

// hints tells what a job's build required and did without.
func (b *Builder) hints(ctx context.Context, job Job, layers []string, watched *sandbox.Opened) ([]string, error) {
	if watched == nil {
		return nil, nil
	}
	opened, err := watched.Paths()
	if err != nil {
		return nil, err
	}
	packages, err := b.installed(ctx, job, layers)
	if err != nil {
		return nil, err
	}
	var covered []string
	if job.Native != nil {
		for _, m := range job.Native.Mounts {
			covered = append(covered, m.Destination)
		}
	}
	root := hints.NewRoot(layers, packages)
	defer root.Close()
	return root.Unused(job.Requires, opened, covered), nil
}

// installed are the packages of a job's root.
func (b *Builder) installed(ctx context.Context, job Job, layers []string) ([]hints.Package, error) {
	packages, err := hints.Debian(layers, job.Names)
	if err == nil && packages == nil {
		packages, err = b.imagePackages(ctx, job)
	}
	if err != nil {
		return nil, err
	}
	for _, d := range job.Dependencies {
		path, err := b.store.Path(d.Digest)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", d.File, err)
		}
		p, err := rpm.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", d.File, err)
		}
		packages = append(packages, hints.OfHeader(p))
	}
	return packages, nil
}

// imagePackages asks the rpm of an image once.
func (b *Builder) imagePackages(ctx context.Context, job Job) ([]hints.Package, error) {
	var (
		packages []hints.Package
		kept     store.Digest
	)
	if err := b.store.Record(recordPackages, string(job.Image.Digest), &kept); err == nil {
		if text, err := b.store.ReadAll(kept, maxPackageList); err == nil && json.Unmarshal(text, &packages) == nil {
			return packages, nil
		}
	}
	packages, err := hints.RPM(ctx, b.sandbox, job.Image.Layers)
	if err != nil {
		return nil, err
	}
	doc, err := json.Marshal(packages)
	if err != nil {
		return nil, err
	}
	d, err := b.store.PutBytes(ctx, doc)
	if err != nil {
		return nil, err
	}
	return packages, b.store.PutRecord(recordPackages, string(job.Image.Digest), d)
}
