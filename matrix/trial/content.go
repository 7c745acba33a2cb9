package trial

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/ohpc-build/ohpc-build/matrix/base"
	"github.com/ohpc-build/ohpc-build/repo/rpm"
	"github.com/ohpc-build/ohpc-build/repo/rpmmd"
	"github.com/ohpc-build/ohpc-build/validate"
	"github.com/ohpc-build/ohpc-build/validate/closure"
	"github.com/ohpc-build/ohpc-build/validate/content"
	"github.com/ohpc-build/ohpc-build/validate/overlap"
)

const (
	// contentCheck is the check's name in a target.
	contentCheck = "content"

	// recordContent is what one package showed, by its digest: most packages of a
	// snapshot were in the one before.
	recordContent = "content"
)

// tryContent looks into the packages that the cell's users install, and for files
// that they would overwrite each other's with.
func (t *Trial) tryContent(ctx context.Context, k check) (validate.Check, error) {
	begin := time.Now()
	records, err := t.cellPackages(ctx)
	if err != nil {
		return validate.Check{}, err
	}
	var reasons []string
	packages := make([]*rpm.Package, len(records))
	reports := make([]*content.Report, len(records))
	unread := make([]error, len(records))
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(runtime.NumCPU())
	for i, rec := range records {
		g.Go(func() error {
			packages[i], reports[i], unread[i] = t.inspect(gctx, rec)
			return context.Cause(gctx)
		})
	}
	if err := g.Wait(); err != nil {
		return validate.Check{}, err
	}
	var set content.Set
	var read []*rpm.Package
	for i, rec := range records {
		if unread[i] != nil {
			reasons = append(reasons, fmt.Sprintf("%s: %v", rec.Location, unread[i]))
			continue
		}
		read, set.Reports = append(read, packages[i]), append(set.Reports, reports[i])
	}
	image, err := t.image(ctx)
	if err != nil {
		return validate.Check{}, err
	}
	set.Exceptions = t.cell.Exceptions
	set.Has = installed(read, set.Reports, image)
	if set.Conflicts, err = overlap.Find(ctx, read, overlap.Options{Provided: provided(image)}); err != nil {
		return validate.Check{}, err
	}
	var log strings.Builder
	for _, r := range reasons {
		fmt.Fprintln(&log, r)
	}
	warnings, allowed := 0, 0
	for _, f := range set.Findings() {
		switch {
		case f.Warning():
			warnings++
			fmt.Fprintln(&log, "warning:", f)
			continue
		case f.Allowed != "":
			allowed++
		default:
			reasons = append(reasons, f.String())
		}
		fmt.Fprintln(&log, f)
	}
	fmt.Fprintf(&log, "%d packages: %d findings, %d that their recipes allow, %d warnings\n", len(records), len(reasons), allowed, warnings)
	return verdict(k, begin, reasons, &log), nil
}

// inspect looks into one package, or remembers what an earlier look showed.
func (t *Trial) inspect(ctx context.Context, rec rpmmd.Record) (*rpm.Package, *content.Report, error) {
	name := content.Version + " " + rec.Checksum.Type + ":" + rec.Checksum.Value
	report := &content.Report{}
	known := t.store.Record(recordContent, name, report) == nil && report.Package != ""
	if known && !t.cell.Fresh {
		p, err := rpm.ReadFile(t.path(rec))
		return p, report, err
	}
	file, err := t.open(ctx, rec)
	if err != nil {
		return nil, nil, err
	}
	defer file.Close()
	p, err := rpm.Read(file, rec.Size)
	if err != nil {
		return nil, nil, err
	}
	if known {
		return p, report, nil
	}
	if report, err = content.Inspect(ctx, p, file); err != nil {
		return nil, nil, err
	}
	return p, report, t.store.PutRecord(recordContent, name, report)
}

// image is what the cell's image provides; nil when it has none.
func (t *Trial) image(ctx context.Context) (*closure.Package, error) {
	if len(t.cell.Image.Layers) == 0 {
		return nil, nil
	}
	list, err := base.Provided(ctx, t.store, t.sandbox, "image of "+t.cell.String(), t.cell.Image)
	if err != nil {
		return nil, err
	}
	return &list.Of[0], nil
}

// installed says whether there is a file in a package or in the image. Only the
// interpreters of scripts are asked for.
func installed(packages []*rpm.Package, reports []*content.Report, image *closure.Package) func(string) bool {
	if image == nil {
		return nil
	}
	asked := map[string]bool{}
	for _, r := range reports {
		for _, s := range r.Scripts {
			asked[merged(s.Interpreter)] = false
		}
	}
	note := func(path string) {
		if _, ok := asked[merged(path)]; ok {
			asked[merged(path)] = true
		}
	}
	for _, p := range packages {
		for f := range p.Files() {
			note(f.Path())
		}
	}
	for _, d := range image.Provides {
		note(d.Name)
	}
	return func(path string) bool { return asked[merged(path)] }
}

// merged is a path where /bin is /usr/bin, as in all distributions of the day. Which
// of the two a package requires is a matter of the closure.
func merged(path string) string {
	for _, dir := range []string{"/bin/", "/sbin/"} {
		if strings.HasPrefix(path, dir) {
			return "/usr" + path
		}
	}
	return path
}

// provided says whether the image satisfies a requirement.
func provided(image *closure.Package) func(rpm.Dependency) bool {
	if image == nil {
		return nil
	}
	byName := map[string][]rpm.Dependency{}
	for _, d := range image.Provides {
		byName[d.Name] = append(byName[d.Name], d)
	}
	return func(d rpm.Dependency) bool {
		for _, p := range byName[d.Name] {
			if d.SatisfiedBy(p) {
				return true
			}
		}
		return false
	}
}
