package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/ohpc-build/ohpc-build/matrix/plan"
)

// rows are the lines of a table about a plan: what holds of several cells is told
// once.
type rows struct {
	cells map[planCell]bool // all of the plan
	of    map[row][]planCell
}

type row struct{ name, what string }

type planCell struct{ target, arch string }

func newRows(p *plan.Plan) *rows {
	r := &rows{cells: map[planCell]bool{}, of: map[row][]planCell{}}
	for _, j := range p.Jobs {
		for _, arch := range j.Architectures() {
			r.cells[planCell{j.Target, arch}] = true
		}
	}
	for _, s := range p.Skips {
		r.cells[planCell{s.Target, s.Arch}] = true
	}
	for _, f := range p.Failures {
		r.cells[planCell{f.Target, f.Arch}] = true
	}
	return r
}

func (r *rows) add(name, what, target string, architectures ...string) {
	k := row{name, what}
	for _, arch := range architectures {
		if c := (planCell{target, arch}); !slices.Contains(r.of[k], c) {
			r.of[k] = append(r.of[k], c)
		}
	}
}

func (r *rows) write(w io.Writer, titles string) error {
	keys := make([]row, 0, len(r.of))
	for k := range r.of {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b row) int { return cmp.Or(cmp.Compare(a.name, b.name), cmp.Compare(a.what, b.what)) })
	tw := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(tw, titles)
	for _, k := range keys {
		fmt.Fprintf(tw, "%s\t%s\t%s\n", k.name, r.list(r.of[k]), k.what)
	}
	return printed(tw.Flush())
}

// list is "all cells", or "EL_9/{aarch64,x86_64} Leap_15/x86_64".
func (r *rows) list(cells []planCell) string {
	if len(cells) == len(r.cells) && len(cells) > 1 {
		return fmt.Sprintf("all %d cells", len(cells))
	}
	byTarget := map[string][]string{}
	var targets []string
	for _, c := range cells {
		if byTarget[c.target] == nil {
			targets = append(targets, c.target)
		}
		byTarget[c.target] = append(byTarget[c.target], c.arch)
	}
	slices.Sort(targets)
	for i, t := range targets {
		archs := byTarget[t]
		slices.Sort(archs)
		if len(archs) == 1 {
			targets[i] += "/" + archs[0]
		} else {
			targets[i] += "/{" + strings.Join(archs, ",") + "}"
		}
	}
	return strings.Join(targets, " ")
}

// planText shows a line for what has one reason in several cells, or with
// explain each job and each skip, then what is wrong, then the totals: what counts
// most stands last, where a terminal shows it.
func planText(p *plan.Plan, w io.Writer, explain bool) error {
	table := newRows(p)
	if explain {
		for _, s := range p.Skips {
			table.add(jobName(s.Recipe, s.Variant), "skipped: "+s.Reason, s.Target, s.Arch)
		}
	}
	for _, f := range p.Failures {
		table.add(jobName(f.Recipe, f.Variant), "failed", f.Target, f.Arch)
	}
	if explain {
		for _, j := range p.Jobs {
			explainJob(j, w)
		}
	} else {
		for _, j := range p.Jobs {
			table.add(j.Name(), j.Reason, j.Target, j.Architectures()...)
		}
	}
	if len(table.of) > 0 {
		if explain && len(p.Jobs) > 0 {
			fmt.Fprintln(w)
		}
		if err := table.write(w, "JOB\tCELLS\tREASON"); err != nil {
			return err
		}
	}
	if !explain {
		skipsText(p, w)
	}
	failuresText(p, w)
	unknownText(p, w)
	return totalsText(p, w)
}

func explainJob(j *plan.Job, w io.Writer) {
	fmt.Fprintf(w, "%s: %s\n", j.ID, j.Reason)
	direct := map[string]bool{}
	for _, m := range j.Met {
		direct[m.Job] = true
		fmt.Fprintf(w, "    needs %s for %s\n", m.Job, m.Requirement)
	}
	for _, need := range j.Needs {
		if !direct[need] {
			fmt.Fprintf(w, "    needs %s for what it needs\n", need)
		}
	}
	for _, need := range j.RunNeeds {
		fmt.Fprintf(w, "    its packages need %s\n", need)
	}
	list := func(what string, of []string) {
		if len(of) > 0 {
			fmt.Fprintf(w, "    %s: %s\n", what, strings.Join(of, ", "))
		}
	}
	list("of the target", j.External)
	list("of the target, if anyone's", j.Assumed)
	for _, u := range j.Unknown {
		fmt.Fprintf(w, "    nobody provides %s\n", unknownWords(u))
	}
	if j.Takes > 0 {
		how := "by estimate"
		if j.Recorded {
			how = "as it took last time"
		}
		fmt.Fprintf(w, "    takes %s, %s\n", span(j.Takes), how)
	}
	if j.Key != "" {
		fmt.Fprintf(w, "    key %s\n", j.Key.Short())
	}
}

func unknownWords(u plan.Unknown) string {
	text := u.Requirement
	if u.Package != "" {
		text += ", which " + u.Package + " requires"
	}
	if u.File != "" {
		text += " (" + place(u.File, u.Line) + ")"
	}
	if u.Hint != "" {
		text += "; " + u.Hint
	}
	return text
}

// skipsText tells of each reason how many it keeps away: in a large tree there
// are more skips than recipes.
func skipsText(p *plan.Plan, w io.Writer) {
	if len(p.Skips) == 0 {
		return
	}
	counts := map[string]int{}
	recipes := map[string][]string{}
	for _, s := range p.Skips {
		counts[s.Reason]++
		if !slices.Contains(recipes[s.Reason], s.Recipe) {
			recipes[s.Reason] = append(recipes[s.Reason], s.Recipe)
		}
	}
	reasons := slices.SortedFunc(maps.Keys(counts), func(a, b string) int { return cmp.Or(counts[b]-counts[a], strings.Compare(a, b)) })
	fmt.Fprintln(w, "\nskipped, each listed by --explain:")
	for _, reason := range reasons {
		of, more := recipes[reason], ""
		if n := len(of) - maxNames; n > 0 {
			of, more = of[:maxNames], others(n, "recipe")
		}
		fmt.Fprintf(w, "    %d × %s\n        of %s%s\n", counts[reason], reason, strings.Join(of, ", "), more)
	}
}

// maxNames bounds how many recipes are named for one reason.
const maxNames = 5

// failuresText tells what rpm said of the specs that it cannot read, each mistake
// once.
func failuresText(p *plan.Plan, w io.Writer) {
	type mistake struct{ place, messages string }
	counts := map[mistake]int{}
	first := map[mistake]plan.Failure{}
	var order []mistake
	for _, f := range p.Failures {
		m := mistake{place(f.File, f.Line), strings.Join(f.Messages, "\n    ")}
		if counts[m]++; counts[m] == 1 {
			first[m], order = f, append(order, m)
		}
	}
	for _, m := range order {
		fmt.Fprintf(w, "\nfailed: %s%s\n    %s\n", first[m].ID, others(counts[m]-1, "job"), strings.TrimSpace(m.place+": "+m.messages))
	}
}

// unknownText tells what nobody provides, each requirement once.
func unknownText(p *plan.Plan, w io.Writer) {
	type missed struct{ requirement, hint string }
	byWhom := map[missed][]string{}
	first := map[missed]plan.Unknown{}
	for _, j := range p.Jobs {
		for _, u := range j.Unknown {
			m := missed{u.Requirement, u.Hint}
			if byWhom[m] == nil {
				first[m] = u
			}
			if !slices.Contains(byWhom[m], j.ID) {
				byWhom[m] = append(byWhom[m], j.ID)
			}
		}
	}
	if len(byWhom) == 0 {
		return
	}
	keys := make([]missed, 0, len(byWhom))
	for m := range byWhom {
		keys = append(keys, m)
	}
	slices.SortFunc(keys, func(a, b missed) int {
		return cmp.Or(cmp.Compare(a.requirement, b.requirement), cmp.Compare(a.hint, b.hint))
	})
	fmt.Fprintln(w, "\nnobody provides:")
	for _, m := range keys {
		fmt.Fprintf(w, "    %s\n        for %s%s\n", unknownWords(first[m]), byWhom[m][0], others(len(byWhom[m])-1, "job"))
	}
}

func totalsText(p *plan.Plan, w io.Writer) error {
	t := p.Totals()
	tw := tabwriter.NewWriter(w, 0, 8, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w)
	if len(t.Cells) > 1 {
		width := 0
		for _, c := range t.Cells {
			width = max(width, len(c.Target+"/"+c.Arch))
		}
		fmt.Fprintf(tw, "%-*s\tTO RUN\tREUSED\tSKIPPED\tFAILED\tUNKNOWN\tTIME\t\n", width, "CELL")
		for _, c := range t.Cells {
			fmt.Fprintf(tw, "%-*s\t%d\t%d\t%d\t%d\t%d\t%s\t\n", width, c.Target+"/"+c.Arch, c.ToRun, c.Reused, c.Skipped, c.Failed, c.Unknown, span(plan.Duration(c.Seconds)))
		}
		if err := tw.Flush(); err != nil {
			return printed(err)
		}
		fmt.Fprintln(w)
	}
	course := t.Run
	if t.ToRun == 0 && t.Jobs > 0 {
		course = t.All
		fmt.Fprintln(w, "nothing is to run; if everything were:")
	}
	if len(course.Levels) > 0 {
		levels := make([]string, len(course.Levels))
		for i, n := range course.Levels {
			levels[i] = fmt.Sprint(n)
		}
		fmt.Fprintf(w, "%s of jobs that can run side by side: %s\n", plural(len(levels), "level"), strings.Join(levels, ", "))
	}
	courseText(p, t, course, w)
	line := fmt.Sprintf("%s: %d to run, %d reused", plural(t.Jobs, "job"), t.ToRun, t.Reused)
	for _, more := range []struct {
		n    int
		what string
	}{{t.Skipped, "%d skipped"}, {t.Failed, "%d failed"}, {t.Unknown, "%d requirements that nobody provides"}} {
		if more.n > 0 {
			line += fmt.Sprintf(", "+more.what, more.n)
		}
	}
	_, err := fmt.Fprintln(w, line)
	return printed(err)
}

// courseText tells how long it takes, as far as that is known.
func courseText(p *plan.Plan, t plan.Totals, c plan.Course, w io.Writer) {
	if c.CriticalSeconds == 0 {
		return
	}
	var parts []string
	for _, at := range c.Parallel {
		parts = append(parts, fmt.Sprintf("%d: %s", at.Jobs, span(plan.Duration(at.Seconds))))
	}
	sure := fmt.Sprintf("%d of %d durations are recorded, the others estimated", t.Recorded, t.Jobs)
	if t.Recorded == t.Jobs {
		sure = "as recorded"
	}
	fmt.Fprintf(w, "time with so many at once: %s (%s)\n", strings.Join(parts, ", "), sure)
	path := make([]string, len(c.CriticalPath))
	for i, id := range c.CriticalPath {
		path[i] = fmt.Sprintf("%s (%s)", id, span(p.Job(id).Takes))
	}
	fmt.Fprintf(w, "longest chain, %s: %s\n", span(plan.Duration(c.CriticalSeconds)), strings.Join(path, " → "))
}

// touchText shows the jobs that a change touches, and why.
func touchText(p *plan.Plan, t *plan.Touched, w io.Writer, explain bool) error {
	if explain {
		for _, j := range t.Jobs {
			fmt.Fprintf(w, "%s: %s\n", j.ID, j.Because)
		}
	} else if len(t.Jobs) > 0 {
		table := newRows(p)
		for _, j := range t.Jobs {
			because := j.Because
			// The need is of the same cell; the line is about several.
			if need := p.Job(strings.TrimPrefix(because, "needs ")); need != nil {
				because = "needs " + need.Name()
			}
			table.add(j.Name(), because, j.Target, j.Architectures()...)
		}
		if err := table.write(w, "JOB\tCELLS\tREASON"); err != nil {
			return err
		}
	}
	var total time.Duration
	for _, j := range t.Jobs {
		total += j.Takes
	}
	line := fmt.Sprintf("\n%d of %s touched", len(t.Jobs), plural(len(p.Jobs), "job"))
	if total > 0 {
		line += ", " + span(total) + " one after the other"
	}
	_, err := fmt.Fprintln(w, line)
	return printed(err)
}

func jobName(recipe, variant string) string {
	if variant == "" {
		return recipe
	}
	return recipe + "@" + variant
}

func place(file string, line int) string {
	if line > 0 {
		return fmt.Sprintf("%s:%d", file, line)
	}
	return file
}

// others is " and 2 other jobs", or nothing.
func others(n int, what string) string {
	if n == 0 {
		return ""
	}
	return " and " + plural(n, "other "+what)
}

// span is a duration with the two units that matter: "3 h 20 min".
func span(d time.Duration) string {
	d = d.Round(time.Second)
	large, small := d/time.Second, time.Duration(0)
	units := [2]string{"s", ""}
	switch {
	case d >= 48*time.Hour:
		large, small, units = d/(24*time.Hour), d%(24*time.Hour)/time.Hour, [2]string{"d", "h"}
	case d >= time.Hour:
		large, small, units = d/time.Hour, d%time.Hour/time.Minute, [2]string{"h", "min"}
	case d >= time.Minute:
		large, small, units = d/time.Minute, d%time.Minute/time.Second, [2]string{"min", "s"}
	}
	if small == 0 {
		return fmt.Sprintf("%d %s", large, units[0])
	}
	return fmt.Sprintf("%d %s %d %s", large, units[0], small, units[1])
}

func printed(err error) error {
	if err != nil {
		return fmt.Errorf("printing the plan: %w", err)
	}
	return nil
}
