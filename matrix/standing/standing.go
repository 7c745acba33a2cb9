package standing

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/ohpc-build/ohpc-build/matrix/report"
	"github.com/ohpc-build/ohpc-build/repo/channel"
	"github.com/ohpc-build/ohpc-build/repo/layout"
)

// Version is the version of the document's format. New fields do not change it.
const Version = 1

// Document is what a channel has as <target>.status.json.
type Document struct {
	Version   int       `json:"version"`
	Program   string    `json:"program"` // ohpc-build's own version
	Release   string    `json:"release"`
	Target    string    `json:"target"`
	Snapshot  string    `json:"snapshot"`  // its id
	Validated time.Time `json:"validated"` // when the run that tried it began
	Cells     []Cell    `json:"cells"`
	Carried
}

// Cell is one architecture's standing.
type Cell struct {
	Arch     string        `json:"arch"`
	Status   report.Status `json:"status"`
	Required []string      `json:"required"`          // names of the checks that have to be green
	Missing  []string      `json:"missing,omitempty"` // what keeps it from being supported
	Brief    string        `json:"brief,omitempty"`   // the same counted, on one line

	// Of a cell that was carried over: the snapshot in which it was tried, and when.
	Snapshot  string    `json:"snapshot,omitempty"`
	Validated time.Time `json:"validated,omitzero"`
}

// maxMissing bounds what is told of one cell.
const maxMissing = 1000

// Of is the standing of a target's cells by a run's report.
func Of(r *report.Run, target, snapshot string, cells []report.Cell) Document {
	d := Document{Version: Version, Program: r.Program, Release: r.Release, Target: target, Snapshot: snapshot, Validated: r.Started.UTC().Truncate(time.Second)}
	for _, c := range cells {
		if c.Target != target {
			continue
		}
		r.Judge(&c)
		if n := len(c.Missing); n > maxMissing {
			c.Missing = append(c.Missing[:maxMissing:maxMissing], fmt.Sprintf("and %d more", n-maxMissing))
		}
		required := c.Required
		if required == nil {
			required = []string{}
		}
		d.Cells = append(d.Cells, Cell{Arch: c.Arch, Status: c.Status, Required: required, Missing: c.Missing, Brief: c.Brief})
	}
	return d
}

// Encode is the document as it is published.
func (d Document) Encode() ([]byte, error) {
	b, err := json.MarshalIndent(d, "", "  ")
	return append(b, '\n'), err
}

// Decode reads a document. Whoever has the tree may have written it.
func Decode(b []byte) (Document, error) {
	var d Document
	if err := json.Unmarshal(b, &d); err != nil {
		return Document{}, fmt.Errorf("reading a status: %w", err)
	}
	if d.Version != Version {
		return Document{}, fmt.Errorf("reading a status: it is version %d, this program reads %d", d.Version, Version)
	}
	if d.Serial < 0 || d.Serial > maxSerial {
		return Document{}, fmt.Errorf("reading a status: %d cannot be a serial number", d.Serial)
	}
	return d, nil
}

// Same tells whether two documents say the same of the same snapshot, whenever.
func (d Document) Same(other Document) bool {
	return d.Snapshot == other.Snapshot && d.Carried == other.Carried && slices.EqualFunc(d.Cells, other.Cells, func(a, b Cell) bool {
		return a.Arch == b.Arch && a.Status == b.Status && slices.Equal(a.Missing, b.Missing) && slices.Equal(a.Required, b.Required) && a.Snapshot == b.Snapshot
	})
}

// cell is an architecture's standing; false when the document does not know it.
func (d Document) cell(arch string) (Cell, bool) {
	i := slices.IndexFunc(d.Cells, func(c Cell) bool { return c.Arch == arch })
	if i < 0 {
		return Cell{}, false
	}
	return d.Cells[i], true
}

// Line says a cell's standing in a few words.
func (c Cell) Line() string {
	if c.Brief == "" {
		return string(c.Status)
	}
	return string(c.Status) + " (" + c.Brief + ")"
}

// Lines are what the release package tells its users: a line for each architecture. A
// cell of which nothing is known yet stands as supported: it is built so, and only
// published when that has come true.
func (d Document) Lines(release, target string, archs []string) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s for %s\n", layout.Product, release, target)
	for _, arch := range archs {
		c, ok := d.cell(arch)
		if !ok {
			c = Cell{Arch: arch, Status: report.Supported}
		}
		fmt.Fprintf(&b, "Status: %s %s\n", arch, c.Line())
	}
	return []byte(b.String())
}

// Published is what a channel tells of itself; false when it tells nothing.
func Published(tree *channel.Tree, p layout.Pointer) (Document, bool, error) {
	return read(p.StatusFile(), func() ([]byte, error) { return tree.Status(p) })
}

// Noted is what is known of a snapshot; false when nothing is.
func Noted(tree *channel.Tree, target, id string) (Document, bool, error) {
	return read(layout.StandingFile(target, id), func() ([]byte, error) { return tree.Standing(target, id) })
}

// read reads a file of the tree, which errors name.
func read(name string, from func() ([]byte, error)) (Document, bool, error) {
	b, err := from()
	if errors.Is(err, fs.ErrNotExist) {
		return Document{}, false, nil
	}
	if err != nil {
		return Document{}, false, err
	}
	d, err := Decode(b)
	if err != nil {
		return Document{}, false, fmt.Errorf("%s in the folder of repositories: %w; move it away: then it counts as never validated, until matrix tries it again", name, err)
	}
	return d, true, nil
}
