package plan

import (
	"fmt"
	"slices"
	"strings"
)

// ConflictError says that two recipes make packages of the same names in one cell.
type ConflictError struct {
	Packages []string
	Jobs     [2]string // one pair of them
	Specs    [2]string // where those are known
	More     int       // how many other pairs of jobs of these recipes do so
}

func (e *ConflictError) Error() string {
	var b strings.Builder
	if e.Specs[0] != "" && e.Specs[1] != "" && e.Specs[0] != e.Specs[1] {
		fmt.Fprintf(&b, "%s and %s", e.Specs[0], e.Specs[1])
	} else {
		if e.Specs[0] != "" {
			b.WriteString(e.Specs[0] + ": ")
		}
		fmt.Fprintf(&b, "%s and %s", e.Jobs[0], e.Jobs[1])
	}
	what := "package"
	if len(e.Packages) > 1 {
		what = "packages"
	}
	fmt.Fprintf(&b, " both make the %s %s", what, strings.Join(e.Packages, ", "))
	if e.Specs[0] != e.Specs[1] && e.Specs[0] != "" && e.Specs[1] != "" {
		fmt.Fprintf(&b, " (%s, %s)", e.Jobs[0], e.Jobs[1])
	}
	if e.More > 0 {
		fmt.Fprintf(&b, ", and so do %d other pairs of their jobs", e.More)
	}
	b.WriteString(": rename one, or exclude one of them from the target")
	return b.String()
}

// conflicts finds all pairs of recipes that are in each other's way.
func conflicts(jobs []*Job) error {
	type slot struct{ target, arch, name string }
	type pair [2]string // recipes
	made := map[slot]*Job{}
	found := map[pair]*ConflictError{}
	var errs []error
	seen := map[[2]*Job]bool{}
	for _, j := range jobs {
		for _, p := range j.Produces {
			for _, arch := range j.Architectures() {
				s := slot{j.Target, arch, p.Name}
				other, ok := made[s]
				if !ok {
					made[s] = j
					continue
				}
				of := pair{other.Recipe, j.Recipe}
				slices.Sort(of[:])
				e := found[of]
				if e == nil {
					e = &ConflictError{Jobs: [2]string{other.ID, j.ID}, Specs: [2]string{other.Spec, j.Spec}}
					found[of], errs = e, append(errs, e)
				} else if !seen[[2]*Job{other, j}] {
					e.More++
				}
				seen[[2]*Job{other, j}] = true
				if e.Jobs == [2]string{other.ID, j.ID} && !slices.Contains(e.Packages, p.Name) {
					e.Packages = append(e.Packages, p.Name)
				}
			}
		}
	}
	return join(errs)
}
