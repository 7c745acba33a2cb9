package load

import (
	"fmt"

	"github.com/ohpc-build/ohpc-build/recipes"
)

func (l *loader) checkFamilies() {
	for _, f := range l.catalog.Families {
		l.checkFileName(f, f.Name)
		if !macroName.MatchString(f.Define) {
			l.failIn(f, "define", "", "%q is not the name of a macro", f.Define)
		}
		if len(f.Members) == 0 {
			l.failIn(f, "members", "", "a family needs at least one member")
		}
		seen := map[string]bool{}
		for i, m := range f.Members {
			at := fmt.Sprintf("members[%d]", i)
			if !packageName.MatchString(m.Name) || m.Name == recipes.All {
				l.failIn(f, at+".name", "", "%q cannot name a member", m.Name)
			}
			if seen[m.Name] {
				l.failIn(f, at+".name", "", "member %q is given twice", m.Name)
			}
			seen[m.Name] = true
		}
	}
}

// checkMembers looks for what families' members refer to.
func (l *loader) checkMembers() {
	for _, f := range l.catalog.Families {
		for i, m := range f.Members {
			l.checkExclusions(f, fmt.Sprintf("members[%d].exclude", i), m.Exclude, nil)
			if _, err := l.catalog.Recipe(m.Recipe); err != nil {
				l.failIn(f, fmt.Sprintf("members[%d].recipe", i), "", "%v", err)
			}
		}
	}
}
