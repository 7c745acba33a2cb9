package matrix

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"

	"github.com/ohpc-build/ohpc-build/matrix/plan"
	"github.com/ohpc-build/ohpc-build/matrix/report"
	"github.com/ohpc-build/ohpc-build/matrix/standing"
	"github.com/ohpc-build/ohpc-build/recipes"
	"github.com/ohpc-build/ohpc-build/recipes/source"
	"github.com/ohpc-build/ohpc-build/repo/channel"
	"github.com/ohpc-build/ohpc-build/repo/diff"
	"github.com/ohpc-build/ohpc-build/repo/layout"
)

// statusSource is the generated source that tells the standing of a target's cells.
const statusSource = "status"

// reportCells are the run's cells as the report has them.
func (m *Matrix) reportCells() []report.Cell {
	var cells []report.Cell
	for _, c := range m.cells {
		cells = append(cells, report.Cell{
			Target: c.Target.Name, Arch: c.Arch, Image: string(c.Image.Digest), Required: c.Target.RequiredChecks(c.Arch),
		})
	}
	return cells
}

// settle tries the snapshots, and notes their standing for those who publish them. When
// that is another one than the packages tell, what tells it is made once more: the
// standing of what is published is only known when it has been tried. Nothing else
// changes then, and what does not depend on it is not tried again.
func (m *Matrix) settle(ctx context.Context) error {
	err := m.validate(ctx)
	if m.mayGoOn(err) && !m.tellsTruth() {
		err = m.tellAnew(ctx)
	}
	if !m.mayGoOn(err) {
		var failed *FailedError
		if errors.As(err, &failed) && len(m.report.Checks) > 0 {
			err = errors.Join(err, m.noteStandings(ctx, false))
		}
		return err
	}
	if !m.tellsTruth() {
		return &FailedError{What: "the standing of the cells came out differently for the same packages: is a check unreliable? nothing was published"}
	}
	return m.noteStandings(ctx, true)
}

// mayGoOn tells whether a snapshot may be published after its checks.
func (m *Matrix) mayGoOn(err error) bool {
	var failed *FailedError
	return err == nil || m.opt.Allow.TechPreview && errors.As(err, &failed) && failedChecks(m.report.Checks, "") != nil
}

// verdict is how a run ends that has published what did not pass all checks.
func (m *Matrix) verdict(context.Context) error {
	return failedChecks(m.report.Checks, "; it was published all the same, as "+standing.AllowFlag+" says")
}

// tellAnew makes the packages again that tell the standing, and tries all again.
func (m *Matrix) tellAnew(ctx context.Context) error {
	stage := m.opt.Progress.Stage("standing", len(m.targets()))
	m.standing = map[string]standing.Document{}
	for _, t := range m.targets() {
		stage.Begin(t.Name)
		d := m.standingOf(t)
		m.standing[t.Name] = d
		for _, c := range d.Cells {
			m.opt.Log.Info("the standing has changed", "target", t.Name, "arch", c.Arch, "status", c.Line())
		}
		stage.End(t.Name, "it has changed: the packages that tell it are made again")
	}
	stage.Close()
	jobs, checks := m.report.Jobs, m.report.Checks
	m.report.Jobs, m.report.Checks = nil, nil
	defer func() {
		m.report.Jobs = first(jobs, m.report.Jobs, func(j report.Job) (string, bool) { return j.ID, j.Result == report.Reused })
		m.report.Checks = first(checks, m.report.Checks, func(c report.Check) (string, bool) { return c.ID(), c.Reused })
	}()
	for _, run := range []func(context.Context) error{m.makePlan, m.build, m.signPackages, m.makeSnapshots, m.validate} {
		if err := run(ctx); err != nil {
			return err
		}
	}
	return nil
}

// first are the rows of a second pass, and in place of what that took over from the
// first, how it went there.
func first[Row any](before, after []Row, key func(Row) (id string, reused bool)) []Row {
	known := map[string]Row{}
	for _, r := range before {
		id, _ := key(r)
		known[id] = r
	}
	for i, r := range after {
		if id, reused := key(r); reused {
			if was, ok := known[id]; ok {
				after[i] = was
			}
		}
	}
	return after
}

// standingOf is the standing of a target's cells by what was built and checked.
func (m *Matrix) standingOf(t *recipes.Target) standing.Document {
	d := standing.Of(m.report, t.Name, m.snapshots[t.Name].ID, m.reportCells())
	if m.carries(t) {
		d.Carried = m.carried[t.Name]
	}
	return d
}

// carries says whether a package of the run for a target carries what was generated.
func (m *Matrix) carries(t *recipes.Target) bool {
	return slices.ContainsFunc(m.jobs.Plan.Jobs, func(j *plan.Job) bool {
		return j.Target == t.Name && m.inSnapshot(j) && packs(m.jobs.Variant(j).Recipe, "")
	})
}

// tellsTruth says whether the packages, if any of them tells it, tell the standing that
// the cells have.
func (m *Matrix) tellsTruth() bool {
	if m.base != nil || !m.wants(statusSource) {
		return true
	}
	for _, t := range m.targets() {
		if !bytes.Equal(m.told[t.Name], m.lines(t, m.standingOf(t))) {
			return false
		}
	}
	return true
}

func (m *Matrix) lines(t *recipes.Target, d standing.Document) []byte {
	return d.Lines(m.opt.Catalog.Release, t.Name, m.architectures(t))
}

// status is what the run's packages tell of a target's standing: what came out in this
// run; before, what is published in its channel.
func (m *Matrix) status(t *recipes.Target) ([]byte, error) {
	d, ok := m.standing[t.Name]
	if !ok {
		var err error
		if d, err = m.publishedStanding(t); err != nil {
			return nil, err
		}
	}
	if m.told == nil {
		m.told = map[string][]byte{}
	}
	m.told[t.Name] = m.lines(t, d)
	return m.told[t.Name], nil
}

func (m *Matrix) publishedStanding(t *recipes.Target) (d standing.Document, err error) {
	err = m.look(t, func(tree *channel.Tree, p layout.Pointer) error {
		d, _, err = standing.Published(tree, p)
		return err
	})
	return d, err
}

// number gives what the run generates for a target's packages its number, as far as
// recipes pack it.
func (m *Matrix) number(t *recipes.Target, generated source.Generated) (standing.Carried, error) {
	packed := maps.Clone(generated)
	maps.DeleteFunc(packed, func(name string, _ []byte) bool { return !m.wants(name) })
	c := standing.Carried{Told: standing.Tell(packed)}
	err := m.look(t, func(tree *channel.Tree, p layout.Pointer) (err error) {
		c, err = standing.Number(tree, p, c.Told, m.opt.Log)
		return err
	})
	return c, err
}

// serials are the numbers by target.
func (m *Matrix) serials() map[string]int {
	numbers := map[string]int{}
	for target, c := range m.carried {
		numbers[target] = c.Serial
	}
	return numbers
}

// look looks at what is published for a target, if anything is.
func (m *Matrix) look(t *recipes.Target, at func(*channel.Tree, layout.Pointer) error) error {
	tree, err := channel.Open(m.reposRoot(), channel.Options{Log: m.opt.Log})
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer tree.Close()
	return at(tree, layout.Pointer{Release: m.opt.Catalog.Release, Channel: m.opt.Channel, Target: t.Name})
}

// noteStandings keeps the snapshots' standing in the published tree. That of a run that
// ends here counts for snapshots of which nothing is known: it changes nothing that may
// be published.
func (m *Matrix) noteStandings(ctx context.Context, publishes bool) error {
	tree, err := channel.Open(m.reposRoot(), channel.Options{Wait: publishWait, Log: m.opt.Log})
	if err != nil {
		return err
	}
	defer tree.Close()
	for _, t := range m.targets() {
		d, err := m.withCarried(ctx, tree, t)
		if err != nil {
			return err
		}
		was, known, err := standing.Noted(tree, t.Name, d.Snapshot)
		if err != nil {
			m.opt.Log.Warn("what was noted of a snapshot's standing cannot be read, and is noted anew", "error", err)
		}
		if known && (!publishes || was.Same(d)) {
			continue
		}
		b, err := d.Encode()
		if err != nil {
			return err
		}
		if err := tree.Note(ctx, t.Name, d.Snapshot, b); err != nil {
			return err
		}
	}
	return nil
}

// withCarried is the standing of a target's cells, and in an overlay that of the cells
// that the run did not try: their packages were carried over from its channel.
func (m *Matrix) withCarried(ctx context.Context, tree *channel.Tree, t *recipes.Target) (standing.Document, error) {
	d, after := m.standingOf(t), m.snapshots[t.Name]
	if m.base == nil {
		return d, nil
	}
	before, err := tree.Current(m.pointer(after))
	if errors.Is(err, fs.ErrNotExist) {
		return d, nil
	}
	if err != nil {
		return d, err
	}
	was, known, err := standing.Noted(tree, t.Name, before.ID)
	if err != nil || !known {
		return d, err
	}
	changes, err := diff.Snapshots(ctx, before, after)
	if err != nil {
		return d, err
	}
	missed, err := m.notMissed(ctx, changes.Removed)
	if err != nil {
		return d, err
	}
	return d.CarryOver(was, after.Arches, slices.Concat(changes.Added, changes.Upgraded, changes.Downgraded, changes.Changed, missed)), nil
}

// guardStanding keeps supported cells of a channel that people rely on from losing
// their standing.
func (m *Matrix) guardStanding(tree *channel.Tree, p layout.Pointer, before, after string) error {
	if m.opt.Allow.TechPreview {
		return nil
	}
	err := standing.Guard(tree, p, before, after)
	var lost *standing.LostError
	if errors.As(err, &lost) {
		return &FailedError{What: fmt.Sprintf("%v; or publish in another --channel, such as factory", lost)}
	}
	return err
}

// wants says whether a recipe packs a source that the run itself provides; "": any.
func (m *Matrix) wants(generated string) bool {
	return slices.ContainsFunc(m.opt.Catalog.Recipes, func(r *recipes.Recipe) bool { return packs(r, generated) })
}

// packs says whether a recipe packs a generated source of a name; "": any.
func packs(r *recipes.Recipe, generated string) bool {
	return slices.ContainsFunc(r.Fetched, func(s recipes.Source) bool {
		return s.Generated != "" && (generated == "" || s.Generated == generated)
	})
}

// asked are the recipes that the plan is for; none: all. What tells the standing is
// made for every repository, whatever else is.
func (m *Matrix) asked() []string {
	names := slices.Clone(m.opt.Recipes)
	if len(names) == 0 || !m.whole || m.base != nil {
		return names
	}
	for _, r := range m.opt.Catalog.Recipes {
		if packs(r, statusSource) && !slices.Contains(names, r.Name) {
			names = append(names, r.Name)
		}
	}
	return names
}
