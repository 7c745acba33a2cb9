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
	c := newComparison(now)
	for i := range before.Jobs {
		c.job(&before.Jobs[i])
	}
	return c.end(before)
}

// comparison looks at an earlier run job by job: of many jobs all together are too much
// to be held beside those of the new run.
type comparison struct {
	Previous
	now   *Run
	index map[string]int // in now.Jobs
	met   []bool         // by that
}

func newComparison(now *Run) *comparison {
	c := &comparison{now: now, index: make(map[string]int, len(now.Jobs)), met: make([]bool, len(now.Jobs))}
	for i := range now.Jobs {
		c.index[now.Jobs[i].ID] = i
	}
	return c
}

// job takes in a job of the earlier run.
func (c *comparison) job(was *Job) {
	i, there := c.index[was.ID]
	if !there {
		c.Gone = append(c.Gone, was.ID)
		return
	}
	c.met[i] = true
	now := &c.now.Jobs[i]
	switch {
	case now.Result == Fail && was.Result != Fail:
		c.Failing = append(c.Failing, now.ID)
	case was.Result == Fail && now.Result.succeeded():
		c.Mended = append(c.Mended, now.ID)
	}
	c.Packages = append(c.Packages, packageChanges(was, now)...)
}

// end is what changed, once all jobs of the earlier run were taken in.
func (c *comparison) end(before *Run) *Previous {
	now, p := c.now, &c.Previous
	p.Started, p.Result, p.Seconds = before.Started, before.Result, before.Seconds
	for i := range now.Jobs {
		if j := &now.Jobs[i]; !c.met[c.index[j.ID]] {
			p.Added = append(p.Added, j.ID)
			if j.Result == Fail {
				p.Failing = append(p.Failing, j.ID)
			}
		}
	}
	if before.Error != "" || now.Error != "" || len(before.Recipes) > 0 || len(now.Recipes) > 0 {
		p.Added, p.Gone = nil, nil
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
	if len(was.Packages) == 0 || slices.EqualFunc(was.Packages, now.Packages, func(a, b Package) bool { return a.File == b.File }) {
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
