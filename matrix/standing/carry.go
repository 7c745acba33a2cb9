package standing

import (
	"slices"
	"strings"

	"github.com/ohpc-build/ohpc-build/matrix/report"
	"github.com/ohpc-build/ohpc-build/repo/diff"
)

// noarch packages are every cell's.
const noarch = "noarch"

// untried is the brief word for packages that a cell was not tried with.
const untried = "packages not validated"

// CarryOver adds to the document of a run the cells of architectures that the run did
// not try and whose packages its snapshot has from the one before, of which the earlier
// document is. They keep their standing as long as nothing in them is different;
// otherwise nobody knows whether it still works, and that is what is missing.
func (d Document) CarryOver(was Document, archs []string, changes []diff.Change) Document {
	d.Cells = slices.Clone(d.Cells)
	if d.Told == "" {
		d.Carried = was.Carried // in the package that is carried over, too
	}
	for _, arch := range archs {
		c, known := was.cell(arch)
		if _, tried := d.cell(arch); tried || !known {
			continue
		}
		if c.Snapshot == "" && was.Snapshot != d.Snapshot {
			c.Snapshot, c.Validated = was.Snapshot, was.Validated
		} else if c.Validated.IsZero() {
			c.Validated = was.Validated
		}
		if names := of(changes, arch); len(names) > 0 {
			c.Status = report.TechPreview
			c.Missing = append(slices.Clone(c.Missing[:min(len(c.Missing), maxMissing)]), "it was not validated with "+some(names, ", "))
			if !strings.HasSuffix(c.Brief, untried) {
				c.Brief = strings.TrimPrefix(c.Brief+"; "+untried, "; ")
			}
		}
		d.Cells = append(d.Cells, c)
	}
	return d
}

// of are the changes that a cell's users see.
func of(changes []diff.Change, arch string) []string {
	var names []string
	for _, c := range changes {
		if c.Arch == arch || c.Arch == noarch {
			names = append(names, c.String())
		}
	}
	return names
}
