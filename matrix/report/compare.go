package report

import (
	"slices"
	"strings"

	"github.com/ohpc-build/ohpc-build/repo/rpm"
)

// Compare tells what changed from an earlier run to this one. Jobs and packages
// that only one of the two looked at say nothing: added and gone is only counted
// between runs of all recipes that came to their end.
func Compare(before, now *Run) *Previous {
	p := &Previous{Started: before.Started, Result: before.Result, Seconds: before.Seconds}
	old, current := jobsByID(before), jobsByID(now)
	whole := before.Error == "" && now.Error == "" && len(before.Recipes) == 0 && len(now.Recipes) == 0
	for i := range now.Jobs {
		j := &now.Jobs[i]
		was, known := old[j.ID]
		if !known {
			was = &Job{}
		}
		switch {
		case j.Result == Fail && was.Result != Fail:
			p.Failing = append(p.Failing, j.ID)
		case was.Result == Fail && j.Result.succeeded():
			p.Mended = append(p.Mended, j.ID)
		}
		if !known && whole {
			p.Added = append(p.Added, j.ID)
		}
		p.Packages = append(p.Packages, packageChanges(was, j)...)
	}
	for id := range old {
		if current[id] == nil && whole {
			p.Gone = append(p.Gone, id)
		}
	}
	checks := map[string]Outcome{}
	for _, c := range before.Checks {
		checks[c.ID()] = c.Result
	}
	for _, c := range now.Checks {
		switch was := checks[c.ID()]; {
		case c.Result == Fail && was != Fail:
			p.FailingChecks = append(p.FailingChecks, c.ID())
		case c.Result == Pass && was == Fail:
			p.MendedChecks = append(p.MendedChecks, c.ID())
		}
	}
	for _, list := range []*[]string{&p.Failing, &p.Mended, &p.Added, &p.Gone, &p.FailingChecks, &p.MendedChecks} {
		slices.Sort(*list)
	}
	slices.SortFunc(p.Packages, func(a, b PackageChange) int {
		return strings.Compare(a.Name+"\x00"+a.Target+"\x00"+a.Arch, b.Name+"\x00"+b.Target+"\x00"+b.Arch)
	})
	return p
}

// Empty says whether nothing changed.
func (p *Previous) Empty() bool {
	return len(p.Failing)+len(p.Mended)+len(p.Added)+len(p.Gone)+len(p.Packages)+len(p.FailingChecks)+len(p.MendedChecks) == 0
}

func (o Outcome) succeeded() bool { return o == Built || o == Reused || o == Shared || o == Pass }

func jobsByID(r *Run) map[string]*Job {
	byID := make(map[string]*Job, len(r.Jobs))
	for i := range r.Jobs {
		byID[r.Jobs[i].ID] = &r.Jobs[i]
	}
	return byID
}

func packageChanges(was, now *Job) []PackageChange {
	if len(was.Packages) == 0 {
		return nil
	}
	old := map[string]string{}
	for _, p := range was.Packages {
		if name, evr, ok := nameAndVersion(p.File); ok {
			old[name] = evr
		}
	}
	var changes []PackageChange
	for _, p := range now.Packages {
		name, to, ok := nameAndVersion(p.File)
		from := old[name]
		if !ok || from == "" || from == to {
			continue
		}
		changes = append(changes, PackageChange{
			Target: now.Target, Arch: now.Arch, Name: name, From: from, To: to,
			Down: rpm.ParseEVR(to).Compare(rpm.ParseEVR(from)) < 0,
		})
	}
	return changes
}

// nameAndVersion takes the name of a binary package's file apart. It holds no
// epoch, which rpm leaves out of file names.
func nameAndVersion(file string) (name, evr string, ok bool) {
	rest, ok := strings.CutSuffix(file, ".rpm")
	dot := strings.LastIndexByte(rest, '.')
	if !ok || dot < 0 || rest[dot+1:] == "src" {
		return "", "", false
	}
	rest = rest[:dot]
	release := strings.LastIndexByte(rest, '-')
	if release < 1 {
		return "", "", false
	}
	version := strings.LastIndexByte(rest[:release], '-')
	if version < 1 {
		return "", "", false
	}
	return rest[:version], rest[version+1:], true
}
