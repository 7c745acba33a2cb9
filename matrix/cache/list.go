package cache

import (
	"context"
	"time"

	"github.com/ohpc-build/ohpc-build/internal/store"
)

// Listing is what a state folder holds. It is printed as JSON as it is.
type Listing struct {
	State    string   `json:"state"`
	Bytes    int64    `json:"bytes"` // all of it, on disk
	Free     int64    `json:"free"`  // on its file system
	Groups   []Group  `json:"groups"`
	Warnings []string `json:"warnings,omitempty"`
}

// Group is one kind of content.
type Group struct {
	Name   string `json:"name"`
	Number int    `json:"number"` // of layers, packages, answers; 0 when nobody counts
	Bytes  int64  `json:"bytes"`  // on disk, files with several names counted once

	// Elsewhere is how much of Bytes has names outside the store as well, such as a
	// published repository's packages: it is free only when these are gone too.
	Elsewhere int64 `json:"elsewhere"`

	Oldest *time.Time `json:"oldest,omitempty"` // when the one was last used that was not used longest
	Newest *time.Time `json:"newest,omitempty"`
	KeptBy string     `json:"kept_by"`
	Fixed  bool       `json:"fixed"` // cache gc leaves it alone
}

// keptBy says of each group what makes it stay.
var keptBy = map[string]string{
	groupImages:   "use by a run; pulled or made again when gone",
	groupLayers:   "use of their image; unpacked again when gone",
	groupRoots:    "use by a job; assembled again when gone",
	groupSources:  "use by a recipe; fetched again when gone",
	groupDepends:  "use by a job; downloaded again when gone",
	groupPackages: "results of jobs; built again when gone",
	groupSigned:   "use by a snapshot; signed again when gone",
	groupAnswers:  "use by a plan; asked again when gone",
	groupMemory:   "use by a plan; digests of addresses for good",
	groupOther:    "use by a run; specs and files of recipes",
}

// List says what the state folder holds.
func (c *Cache) List(ctx context.Context) (*Listing, error) {
	s, err := c.survey(ctx)
	if err != nil {
		return nil, err
	}
	l := &Listing{State: c.state, Bytes: s.total(), Warnings: s.warnings}
	if l.Free, err = Free(c.state); err != nil {
		return nil, err
	}
	groups := map[string]*Group{}
	for _, name := range []string{
		groupImages, groupLayers, groupRoots, groupSources, groupDepends, groupPackages, groupSigned, groupAnswers, groupMemory, groupOther,
	} {
		groups[name] = &Group{Name: name, KeptBy: keptBy[name]}
		l.Groups = append(l.Groups, Group{Name: name})
	}
	counted := map[string]bool{groupSources: true, groupDepends: true, groupPackages: true, groupSigned: true, groupOther: true} // by their objects
	for _, o := range s.objects {
		g := groups[o.group]
		g.addEntry(o.Entry)
		if counted[o.group] {
			g.Number++
		}
	}
	for _, r := range s.records {
		g := groups[r.kind.group]
		if r.Kind == "buildroot" {
			g.Bytes += r.Bytes // its layer counts
			continue
		}
		g.addEntry(r.Entry)
		if !counted[r.kind.group] {
			g.Number++
		}
	}
	for _, layer := range s.layers {
		g := groups[layer.group]
		g.Number++
		g.Bytes += layer.bytes
		if used := layer.used(); !used.IsZero() {
			g.use(used)
		}
	}
	for i := range l.Groups {
		l.Groups[i] = *groups[l.Groups[i].Name]
	}
	for _, f := range s.rest {
		l.Groups = append(l.Groups, Group{Name: f.name, Bytes: f.bytes, KeptBy: f.why, Fixed: true})
	}
	return l, nil
}

func (g *Group) addEntry(e store.Entry) {
	g.Bytes += e.Bytes
	if e.Links > 1 {
		g.Elsewhere += e.Bytes
	}
	g.use(e.Used)
}

func (g *Group) use(at time.Time) {
	at = at.UTC().Truncate(time.Second)
	if g.Oldest == nil || at.Before(*g.Oldest) {
		g.Oldest = &at
	}
	if g.Newest == nil || at.After(*g.Newest) {
		g.Newest = &at
	}
}
