package cache

import (
	"cmp"
	"context"
	"errors"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ohpc-build/ohpc-build/internal/store"
)

const (
	day = 24 * time.Hour

	// maxPasses bounds how often what became loose is looked at again: an object that
	// its record left behind, a layer that a root stood on.
	maxPasses = 4
)

// Limits say what may stay. Zero values limit nothing: then only what is worth
// nothing goes.
type Limits struct {
	MaxBytes  int64         // of the whole state folder, on disk
	OlderThan time.Duration // what was not used for longer goes
	DryRun    bool          // nothing is removed, all is told
}

// Collection is what went.
type Collection struct {
	Before, After int64 // what the state folder takes, in bytes
	Groups        []Removed
	Elsewhere     int64 // of what went, bytes that have names elsewhere and are not free yet
	InUse         int64 // bytes that would have gone but a running program may need
	Reached       bool  // the state folder is not larger than it may be
	Warnings      []string
}

// Removed is what went of one group.
type Removed struct {
	Name   string
	Number int
	Bytes  int64
}

// candidate is what goes together.
type candidate struct {
	group     string
	used      time.Time
	rank      int
	bytes     int64
	elsewhere int64
	worthless bool
	removal   store.Removal
	done      func() // enters in the survey that it is gone

	// again is the candidate as it is after others have gone; nil when it is gone too.
	again func() *candidate
}

// Collect removes what exceeds the limits, the least recently used first.
func (c *Cache) Collect(ctx context.Context, limits Limits) (_ *Collection, err error) {
	// First the right to remove: what others do from now on is marked.
	sweep, err := c.store.Sweep()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, sweep.Close()) }()
	s, err := c.survey(ctx)
	if err != nil {
		return nil, err
	}
	g := &collector{
		Cache: c, survey: s, sweep: sweep, limits: limits, now: time.Now(),
		size: s.total(), groups: map[string]*Removed{}, inUse: map[string]int64{},
	}
	result := &Collection{Before: g.size, Warnings: s.warnings}
	for range maxPasses {
		removed, err := g.pass(ctx)
		if err != nil {
			return nil, err
		}
		if !removed {
			break
		}
	}
	result.After, result.Elsewhere = g.size, g.elsewhere
	for _, bytes := range g.inUse {
		result.InUse += bytes
	}
	result.Reached = limits.MaxBytes == 0 || g.size <= limits.MaxBytes
	for _, r := range g.groups {
		result.Groups = append(result.Groups, *r)
	}
	slices.SortFunc(result.Groups, func(a, b Removed) int { return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), cmp.Compare(a.Name, b.Name)) })
	return result, nil
}

// Freeable is how much could be removed when nothing runs, in bytes.
func (c *Cache) Freeable(ctx context.Context) (int64, error) {
	s, err := c.survey(ctx)
	if err != nil {
		return 0, err
	}
	var total int64
	for _, r := range s.records {
		if !r.kind.keep {
			total += r.Bytes
		}
	}
	for _, o := range s.objects {
		kept := slices.ContainsFunc(o.keepers, func(r *record) bool { return r.kind.keep })
		if !kept && o.Links == 1 {
			total += o.Bytes
		}
	}
	for _, l := range s.layers {
		if !l.pinned {
			total += l.bytes
		}
	}
	return total, nil
}

type collector struct {
	*Cache
	*survey
	sweep  *store.Sweep
	limits Limits
	now    time.Time

	size      int64 // of the state folder by now
	elsewhere int64
	groups    map[string]*Removed
	inUse     map[string]int64 // by candidate: it may be met in each pass
}

// pass goes through all candidates once.
func (g *collector) pass(ctx context.Context) (removed bool, err error) {
	candidates := g.candidates()
	slices.SortStableFunc(candidates, func(a, b *candidate) int {
		return cmp.Or(
			-cmp.Compare(g.days(a), g.days(b)),
			cmp.Compare(a.rank, b.rank),
			-cmp.Compare(a.bytes, b.bytes),
			a.used.Compare(b.used),
		)
	})
	for _, c := range candidates {
		if err := context.Cause(ctx); err != nil {
			return removed, err
		}
		old := g.limits.OlderThan > 0 && g.now.Sub(c.used) > g.limits.OlderThan
		large := g.limits.MaxBytes > 0 && g.size > g.limits.MaxBytes
		if !c.worthless && !old && !large {
			continue
		}
		if c = c.again(); c == nil {
			continue
		}
		gone, err := g.remove(c)
		if err != nil {
			return removed, err
		}
		removed = removed || gone
	}
	return removed, nil
}

// days is how many days ago something was used. Marks are not more exact.
func (g *collector) days(c *candidate) int {
	return max(0, int(g.now.Sub(c.used)/day))
}

func (g *collector) remove(c *candidate) (bool, error) {
	name := c.name()
	busy := slices.ContainsFunc(append(slices.Clone(c.removal.Entries), c.removal.Users...), g.sweep.InUse)
	// Whose record is not written yet has nobody who could be asked.
	busy = busy || len(c.removal.Folders) > 0 && len(c.removal.Users)+len(c.removal.Entries) == 0 && !g.sweep.Alone()
	if !busy && !g.limits.DryRun {
		gone, err := g.sweep.Remove(c.removal)
		// Where not a single block is left, files have to make room for a folder to be
		// put aside; the next pass tries again.
		if err != nil && !errors.Is(err, unix.ENOSPC) {
			return false, err
		}
		busy = !gone
	}
	if busy {
		g.inUse[name] = c.bytes
		return false, nil
	}
	delete(g.inUse, name)
	c.done()
	g.size -= c.bytes
	g.elsewhere += c.elsewhere
	if g.groups[c.group] == nil {
		g.groups[c.group] = &Removed{Name: c.group}
	}
	g.groups[c.group].Number++
	g.groups[c.group].Bytes += c.bytes
	return true, nil
}

func (c *candidate) name() string {
	if len(c.removal.Entries) > 0 {
		return c.removal.Entries[0].Kind + "/" + c.removal.Entries[0].ID
	}
	return c.removal.Folders[0]
}

// candidates are all that may go now.
func (g *collector) candidates() []*candidate {
	var all []*candidate
	for i, r := range g.records {
		if r != nil && !r.kind.keep {
			all = append(all, g.recordCandidate(i, r))
		}
	}
	for _, o := range g.objects {
		if len(o.keepers) == 0 {
			all = append(all, g.objectCandidate(o))
		}
	}
	for _, l := range g.layers {
		// A build root goes with its record; an image's layer can be unpacked again.
		if !l.pinned && (l.group != groupRoots || len(l.keepers) == 0) {
			all = append(all, g.layerCandidate(l))
		}
	}
	return all
}

func (g *collector) objectCandidate(o *object) *candidate {
	c := &candidate{group: o.group, used: o.Used, rank: rankLoose, removal: store.Removal{Entries: []store.Entry{o.Entry}}}
	if o.group == groupSources {
		c.rank = rankSource
	}
	c.weigh()
	c.done = func() { delete(g.objects, o.ID) }
	c.again = func() *candidate { return c } // nothing else takes it along
	return c
}

func (g *collector) layerCandidate(l *layer) *candidate {
	c := &candidate{
		group: l.group, used: l.used(), rank: rankLayer, bytes: l.bytes, worthless: len(l.keepers) == 0,
		removal: store.Removal{Folders: []string{filepath.Join(g.state, l.path)}},
	}
	for _, r := range l.keepers {
		c.removal.Users = append(c.removal.Users, r.Entry)
	}
	c.done = func() { g.dropLayer(l) }
	c.again = func() *candidate {
		if g.layers[l.path] == nil {
			return nil
		}
		return g.layerCandidate(l)
	}
	return c
}

// recordCandidate is a record with all that nothing else keeps and that was not used
// by itself later.
func (g *collector) recordCandidate(i int, r *record) *candidate {
	c := &candidate{
		group: r.kind.group, used: r.Used, rank: r.kind.rank, worthless: r.broken != "",
		removal: store.Removal{Entries: []store.Entry{r.Entry}},
	}
	if r.superseded {
		c.rank = rankSuperseded
	}
	var objects []*object
	for _, o := range r.needs {
		if len(unique(o.keepers)) == 1 && o.Used.Before(r.Used.Add(day)) && !slices.Contains(objects, o) {
			objects = append(objects, o)
			c.removal.Entries = append(c.removal.Entries, o.Entry)
		}
	}
	c.weigh()
	var layers []*layer
	for _, l := range r.layers {
		if !l.pinned && len(unique(l.keepers)) == 1 && !slices.Contains(layers, l) {
			layers = append(layers, l)
			c.bytes += l.bytes
			c.removal.Folders = append(c.removal.Folders, filepath.Join(g.state, l.path))
		}
	}
	c.done = func() {
		for _, o := range objects {
			delete(g.objects, o.ID)
		}
		for _, l := range layers {
			g.dropLayer(l)
		}
		without := func(k *record) bool { return k == r }
		for _, o := range r.needs {
			o.keepers = slices.DeleteFunc(o.keepers, without)
		}
		for _, l := range r.layers {
			l.keepers = slices.DeleteFunc(l.keepers, without)
		}
		g.records[i] = nil
	}
	c.again = func() *candidate { return g.recordCandidate(i, r) }
	return c
}

// weigh sums up what a candidate's entries take.
func (c *candidate) weigh() {
	for _, e := range c.removal.Entries {
		c.bytes += e.Bytes
		if e.Links > 1 {
			c.elsewhere += e.Bytes
		}
	}
}

func (g *collector) dropLayer(l *layer) {
	delete(g.layers, l.path)
	for _, r := range l.keepers {
		r.layers = slices.DeleteFunc(r.layers, func(other *layer) bool { return other == l })
	}
}

func unique(records []*record) []*record {
	if len(records) < 2 {
		return records
	}
	var found []*record
	for _, r := range records {
		if !slices.Contains(found, r) {
			found = append(found, r)
		}
	}
	return found
}
