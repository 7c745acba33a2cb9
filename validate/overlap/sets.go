package overlap

import (
	"context"

	"github.com/ohpc-build/ohpc-build/repo/rpm"
)

// Left is a package that is in no set.
type Left struct {
	Package int
	Why     string
}

// Sets puts packages into as few sets as it can see to, each of which can be installed
// on one system: what the first one has no room for comes into the second, and so on.
// Those that come first in the list are preferred. Of the packages of which must says
// no there is each in the first set or in none. What is in no set is told with the
// reason. provided is as in [Options].
func Sets(ctx context.Context, packages []*rpm.Package, provided func(rpm.Dependency) bool, must func(i int) bool) (sets [][]int, left []Left, err error) {
	wanted := make([]int, len(packages))
	for i := range packages {
		wanted[i] = i
	}
	empty := NewSet(packages, provided)
	for len(wanted) > 0 {
		set := empty.Empty()
		var names []int
		var later []Left
		for _, i := range wanted {
			if err := context.Cause(ctx); err != nil {
				return nil, nil, err
			}
			if set.Add(i) {
				names = append(names, i)
			} else {
				later = append(later, Left{i, set.Refused()})
			}
		}
		wanted = nil
		for _, l := range later {
			if len(names) == 0 || !must(l.Package) {
				left = append(left, l)
			} else {
				wanted = append(wanted, l.Package)
			}
		}
		if len(names) > 0 {
			sets = append(sets, names)
		}
	}
	return sets, left, nil
}
