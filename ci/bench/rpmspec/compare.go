package rpmspec

import (
	"fmt"
	"slices"
	"strings"
)

// Comparison is how a plan stands beside rpmspec's own answers.
type Comparison struct {
	Jobs         int // that were compared, once for each architecture they are for
	Packages     int
	Requirements int // those of packages and those of builds
	Provides     int
	Differences  []string
}

// Compare holds each answer of rpmspec against its job: names, versions,
// architectures, requires and provides of all packages, and what the build requires.
// All lists are compared in full, and as lists: what comes twice has to come twice.
func Compare(answers []Answer) *Comparison {
	c := &Comparison{}
	for i := range answers {
		c.add(&answers[i])
	}
	return c
}

func (c *Comparison) add(a *Answer) {
	c.Jobs++
	if a.Err != nil {
		c.differ(a, "", fmt.Sprintf("rpmspec cannot read it: %v", a.Err))
		return
	}
	c.Requirements += len(a.BuildRequires)
	c.list(a, "", "requires to be built", a.Job.BuildRequires, a.BuildRequires)

	ours := slices.Clone(a.Job.Packages)
	for _, theirs := range a.Packages {
		c.Packages++
		c.Requirements += len(theirs.Requires)
		c.Provides += len(theirs.Provides)
		i := slices.IndexFunc(ours, func(p Package) bool { return p.Name == theirs.Name })
		if i < 0 {
			c.differ(a, theirs.Name, "is not in the plan")
			continue
		}
		c.one(a, theirs.Name, ours[i], theirs)
		ours = slices.Delete(ours, i, i+1)
	}
	for _, p := range ours {
		c.differ(a, p.Name, "is not among what rpmspec names")
	}
}

func (c *Comparison) one(a *Answer, name string, ours, theirs Package) {
	if o, t := strings.TrimPrefix(ours.EVR, "0:"), strings.TrimPrefix(theirs.EVR, "0:"); o != t {
		c.differ(a, name, fmt.Sprintf("is version %s, of rpmspec %s", o, t))
	}
	if ours.Arch != theirs.Arch {
		c.differ(a, name, fmt.Sprintf("is for %s, of rpmspec for %s", ours.Arch, theirs.Arch))
	}
	c.list(a, name, "requires", ours.Requires, theirs.Requires)
	c.list(a, name, "provides", ours.Provides, theirs.Provides)
}

// list compares two lists without regard to their order.
func (c *Comparison) list(a *Answer, name, verb string, ours, theirs []string) {
	left := map[string]int{}
	for _, s := range theirs {
		left[normal(s)]++
	}
	for _, s := range sorted(ours) {
		if left[s] == 0 {
			c.differ(a, name, fmt.Sprintf("%s %s in the plan only", verb, s))
			continue
		}
		left[s]--
	}
	for _, s := range sorted(theirs) {
		if left[s] > 0 {
			left[s]--
			c.differ(a, name, fmt.Sprintf("%s %s of rpmspec only", verb, s))
		}
	}
}

func (c *Comparison) differ(a *Answer, name, how string) {
	if name != "" {
		name += " "
	}
	c.Differences = append(c.Differences, a.String()+": "+name+how)
}

func sorted(list []string) []string {
	all := make([]string, len(list))
	for i, s := range list {
		all[i] = normal(s)
	}
	slices.Sort(all)
	return all
}

// normal is a dependency with single spaces.
func normal(s string) string { return strings.Join(strings.Fields(s), " ") }
