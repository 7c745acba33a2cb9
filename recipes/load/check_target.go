package load

import (
	"fmt"
	"slices"

	"github.com/ohpc-build/ohpc-build/recipes/strict"
)

func (l *loader) checkTargets() {
	for _, t := range l.catalog.Targets {
		l.checkFileName(t, t.Name)
		if len(t.Architectures) == 0 {
			l.failIn(t, "architectures", "", "a target needs at least one architecture")
			continue
		}
		for i, a := range t.Architectures {
			if !archName.MatchString(a) || a == "noarch" || a == "src" {
				l.failIn(t, fmt.Sprintf("architectures[%d]", i), "rpm's names, such as x86_64 and aarch64", "%q is not an architecture", a)
			}
		}
		if (t.Image.Reference == "") == (t.Image.Bootstrap == nil) {
			l.failIn(t, "image", "", "an image has either a reference or a bootstrap")
		}
		l.checkDefines(t, "defines", t.Defines)
		for i, c := range t.Checks {
			for j, a := range c.Architectures {
				if !slices.Contains(t.Architectures, a) {
					l.failIn(t, fmt.Sprintf("checks[%d].architectures[%d]", i, j), strict.DidYouMean(a, t.Architectures),
						"the target has no architecture %q", a)
				}
			}
		}
	}
}
