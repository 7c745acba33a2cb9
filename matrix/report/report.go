package report

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/ohpc-build/ohpc-build/matrix/report/plain"
)

// Version is the version of the matrix.json schema. It grows by one when a
// field changes its meaning or goes away; new fields do not change it.
const Version = 1

// Outcome is how a job or a check ended.
type Outcome string

// The outcomes. Built, Reused and Shared are a job's successes: its packages
// were made now, were in the store already, or come from the one architecture
// that builds them for all. Skip always carries a reason.
const (
	Built  Outcome = "built"
	Reused Outcome = "reused"
	Shared Outcome = "shared"
	Pass   Outcome = "pass"
	Fail   Outcome = "fail"
	Skip   Outcome = "skip"
)

// Status is a cell's standing.
type Status string

// A cell is supported when its required checks are green, tech preview until then.
const (
	Supported   Status = "supported"
	TechPreview Status = "tech preview"
)

// Run is the document matrix.json.
type Run struct {
	Version   int        `json:"version"`
	Program   string     `json:"program"` // ohpc-build's own version
	Release   string     `json:"release"`
	Recipes   []string   `json:"recipes,omitempty"` // that were asked for; none: all
	Result    Outcome    `json:"result"`
	Error     string     `json:"error,omitempty"` // what ended the run early
	Started   time.Time  `json:"started"`
	Seconds   float64    `json:"seconds"`
	Slots     int        `json:"slots,omitempty"` // how many builds ran at a time
	Cells     []Cell     `json:"cells"`
	Jobs      []Job      `json:"jobs"`
	Checks    []Check    `json:"checks"`
	Snapshots []Snapshot `json:"snapshots"`

	Previous     *Previous           `json:"previous,omitempty"`     // what changed since the last run
	History      map[string][]Sample `json:"history,omitempty"`      // by job ID: the last 20 runs at most, the oldest first
	CheckHistory map[string][]Sample `json:"checkHistory,omitempty"` // the same by check ID
}

// Cell is target × architecture.
type Cell struct {
	Target  string   `json:"target"`
	Arch    string   `json:"arch"`
	Image   string   `json:"image,omitempty"` // digest of the image that was used
	Status  Status   `json:"status"`
	Missing []string `json:"missing,omitempty"` // what keeps it from being supported
	Brief   string   `json:"brief,omitempty"`   // the same counted, on one line

	Required []string `json:"required,omitempty"` // names of the checks that its target wants to be green
}

// Job is one rpmbuild run, or the reason why there was none.
type Job struct {
	ID         string    `json:"id"`
	Recipe     string    `json:"recipe"`
	Variant    string    `json:"variant,omitempty"`
	Target     string    `json:"target"`
	Arch       string    `json:"arch"`
	Group      string    `json:"group,omitempty"` // the recipe's, such as dev-tools
	Key        string    `json:"key,omitempty"`
	Needs      []string  `json:"needs,omitempty"` // IDs of the jobs whose packages it is built with
	Result     Outcome   `json:"result"`
	Reason     string    `json:"reason,omitempty"`
	Begin      float64   `json:"begin,omitempty"` // seconds since the run's start
	Seconds    float64   `json:"seconds"`
	Expected   float64   `json:"expected,omitempty"`   // seconds that it was estimated to take
	Slot       int       `json:"slot,omitempty"`       // which one it ran in, from 1; 0: in none
	Attempts   int       `json:"attempts,omitempty"`   // more than 1 after faults of the infrastructure
	PeakMemory int64     `json:"peakMemory,omitempty"` // bytes
	CPUSeconds float64   `json:"cpuSeconds,omitempty"`
	Log        string    `json:"log,omitempty"`   // relative to the report's folder
	Kept       string    `json:"kept,omitempty"`  // where its build root is kept
	Hints      []string  `json:"hints,omitempty"` // what the recipe's author may want to know
	Packages   []Package `json:"packages,omitempty"`
}

// Package is one file that a job made.
type Package struct {
	File   string `json:"file"`
	Digest string `json:"digest"`         // of the unsigned file
	Path   string `json:"path,omitempty"` // of the unsigned file, relative to the output folder, when it is there
}

// Check is one validation of one cell.
type Check struct {
	Name    string  `json:"name"`
	Subject string  `json:"subject"` // what was checked: a package or a recipe
	Target  string  `json:"target"`
	Arch    string  `json:"arch"`
	Result  Outcome `json:"result"`
	Reused  bool    `json:"reused,omitempty"` // the result of an earlier run on the same bytes
	Reason  string  `json:"reason,omitempty"`
	Key     string  `json:"key,omitempty"`   // the same for a check of the same bytes
	Begin   float64 `json:"begin,omitempty"` // seconds since the run's start
	Seconds float64 `json:"seconds"`
	Log     string  `json:"log,omitempty"`

	// Void says of a skip that there was nothing to check, and so nothing is missing.
	Void  bool   `json:"void,omitempty"`
	Cases []Case `json:"cases,omitempty"` // what the check consists of, if of several tests
}

// Case is one of the tests that a check consists of.
type Case struct {
	Name    string  `json:"name"`
	Result  Outcome `json:"result"`
	Reason  string  `json:"reason,omitempty"` // why it was skipped, or what it said when it failed
	Seconds float64 `json:"seconds"`
	Ran     Outcome `json:"ran,omitempty"` // how it ended, of one that is in quarantine: a skip
}

// Reproducible is the check that a second build makes the same packages. It says
// nothing of whether they work.
const Reproducible = "reproducible"

// Sample is how a job or a check went in an earlier run, or in this one.
type Sample struct {
	Time    time.Time `json:"time"`
	Key     string    `json:"key,omitempty"` // of the job or the check
	Result  Outcome   `json:"result"`
	Seconds float64   `json:"seconds"`
}

// Previous is what changed since an earlier run. [Compare] makes it.
type Previous struct {
	Started time.Time `json:"started"` // when the earlier run did
	Result  Outcome   `json:"result"`
	Seconds float64   `json:"seconds"`

	Failing  []string        `json:"failing,omitempty"` // IDs of jobs that fail now and did not
	Mended   []string        `json:"mended,omitempty"`  // IDs of jobs that failed and succeed now
	Added    []string        `json:"added,omitempty"`   // IDs of jobs that there were not
	Gone     []string        `json:"gone,omitempty"`    // IDs of jobs that there are no more
	Packages []PackageChange `json:"packages,omitempty"`

	FailingChecks []string `json:"failingChecks,omitempty"` // IDs of checks that fail now and did not
	MendedChecks  []string `json:"mendedChecks,omitempty"`  // IDs of checks that failed and pass now
}

// PackageChange is a package whose version changed.
type PackageChange struct {
	Target string `json:"target"`
	Arch   string `json:"arch"` // of the job that made it
	Name   string `json:"name"`
	From   string `json:"from"` // version-release
	To     string `json:"to"`
	Down   bool   `json:"down,omitempty"` // a downgrade, as rpm orders versions
}

// Snapshot is a published tree.
type Snapshot struct {
	Target    string `json:"target"`
	ID        string `json:"id"`
	Path      string `json:"path"` // relative to the output folder
	Packages  int    `json:"packages"`
	Published bool   `json:"published"`
}

// Close settles what follows from the rest: the order of the lists, each cell's
// status and the result of the whole.
func (r *Run) Close(now time.Time) {
	r.Version = Version
	r.Seconds = Seconds(now.Sub(r.Started))
	slices.SortStableFunc(r.Jobs, func(a, b Job) int { return strings.Compare(a.ID, b.ID) })
	slices.SortStableFunc(r.Checks, func(a, b Check) int { return strings.Compare(a.ID(), b.ID()) })
	r.Result = Pass
	if r.Error != "" {
		r.Result = Fail
	}
	for i := range r.Cells {
		r.Judge(&r.Cells[i])
	}
	for _, j := range r.Jobs {
		if j.Result == Fail {
			r.Result = Fail
		}
	}
	for _, c := range r.Checks {
		if c.Result == Fail {
			r.Result = Fail
		}
	}
}

// Judge settles a cell's standing by the jobs and checks that there are.
func (r *Run) Judge(c *Cell) {
	c.Missing, c.Brief, c.Status = nil, "", Supported
	gaps := r.gaps(c)
	for _, g := range gaps {
		c.Missing = append(c.Missing, g.String())
	}
	if len(gaps) > 0 {
		c.Brief, c.Status = brief(gaps), TechPreview
	}
}

// gap is one thing that keeps a cell from being supported.
type gap struct{ what, subject, how string }

func (g gap) String() string {
	switch {
	case g.subject == "":
		return g.what + ": " + g.how
	case g.how == failed:
		return g.what + " of " + g.subject
	}
	return g.what + " of " + g.subject + ": " + g.how
}

const failed, skipped, notRun = "failed", "skipped", "not run"

// gaps are what failed, and required checks that were not made or do not count. A cell
// without checks has proven nothing.
func (r *Run) gaps(cell *Cell) []gap {
	var gaps []gap
	for _, j := range r.Jobs {
		if j.Target == cell.Target && j.Arch == cell.Arch && j.Result == Fail {
			gaps = append(gaps, gap{"build", j.Recipe, failed})
		}
	}
	checks := 0
	rows := map[string][]Check{}
	for _, c := range r.Checks {
		if c.Target != cell.Target || c.Arch != cell.Arch {
			continue
		}
		rows[c.Name] = append(rows[c.Name], c)
		if c.Name != Reproducible {
			checks++
		}
		if c.Result == Fail {
			gaps = append(gaps, gap{c.Name, c.Subject, failed})
		}
	}
	if checks == 0 {
		return append(gaps, gap{"checks", "", notRun})
	}
	for _, name := range cell.Required {
		if len(rows[name]) == 0 {
			gaps = append(gaps, gap{name, "", notRun})
		}
		for _, c := range rows[name] {
			if c.Result == Skip && !c.Void {
				gaps = append(gaps, gap{name, c.Subject, skipped})
			}
		}
	}
	return gaps
}

// brief counts gaps: install: 2 failed; suite: not run.
func brief(gaps []gap) string {
	count := map[gap]int{}
	var order []gap
	for _, g := range gaps {
		g.subject = ""
		if count[g]++; count[g] == 1 {
			order = append(order, g)
		}
	}
	slices.SortFunc(order, func(a, b gap) int { return strings.Compare(a.what+"\x00"+a.how, b.what+"\x00"+b.how) })
	var parts []string
	for _, g := range order {
		if g.how == notRun {
			parts = append(parts, g.String())
		} else {
			parts = append(parts, fmt.Sprintf("%s: %d %s", g.what, count[g], g.how))
		}
	}
	return strings.Join(parts, "; ")
}

// ID names a check among a run's: cell, name and subject.
func (c Check) ID() string { return c.Target + "/" + c.Arch + "/" + c.Name + "/" + c.Subject }

// Seconds is d as the report's fields hold it: to milliseconds, as more digits
// would only be noise in a diff.
func Seconds(d time.Duration) float64 { return d.Round(time.Millisecond).Seconds() }

// Human prints seconds as people say them: 0.4s, 36s, 11m02s, 5h03m.
func Human(s float64) string {
	d := time.Duration(s * float64(time.Second))
	switch {
	case d < 10*time.Second:
		return fmt.Sprintf("%.1fs", d.Seconds())
	case d < time.Minute:
		return fmt.Sprintf("%.0fs", d.Seconds())
	case d < time.Hour:
		d = d.Round(time.Second)
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	default:
		d = d.Round(time.Minute)
		return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
	}
}

// Failures tells each job and check that failed, with its reason and where in the
// report's folder its log is.
func (r *Run) Failures() []string { return r.FailuresIn("") }

// FailuresIn is [Run.Failures] for who looks from elsewhere: dir is the report's folder.
func (r *Run) FailuresIn(dir string) []string {
	var all []string
	tell := func(what, reason, log string) {
		text := "FAILED " + what + ": " + plain.Text(strings.TrimPrefix(reason, what+": "))
		if log != "" {
			text += "\nlog: " + plain.Line(filepath.Join(dir, log))
		}
		all = append(all, text)
	}
	for _, j := range r.Jobs {
		if j.Result == Fail {
			tell(j.ID, j.Reason, j.Log)
		}
	}
	for _, c := range r.Checks {
		if c.Result == Fail {
			tell(c.ID(), c.Reason, c.Log)
		}
	}
	return all
}

// casesSummary counts the tests that checks consist of, when some did not count.
func casesSummary(checks []Check) string {
	tests, skipped, quarantined := 0, 0, 0
	for _, c := range checks {
		for _, k := range c.Cases {
			tests++
			if k.Ran != "" {
				quarantined++
			} else if k.Result == Skip {
				skipped++
			}
		}
	}
	if skipped+quarantined == 0 {
		return ""
	}
	return fmt.Sprintf("; of %d tests %d skipped, %d in quarantine", tests, skipped, quarantined)
}

// Summary is the run in one line.
func (r *Run) Summary() string {
	count := map[Outcome]int{}
	for _, j := range r.Jobs {
		count[j.Result]++
	}
	text := fmt.Sprintf("%d built, %d reused", count[Built], count[Reused])
	for _, o := range []Outcome{Fail, Skip} {
		if count[o] > 0 {
			text += fmt.Sprintf(", %d %s", count[o], map[Outcome]string{Fail: "failed", Skip: "skipped"}[o])
		}
	}
	if len(r.Checks) > 0 {
		checks, reused := map[Outcome]int{}, 0
		for _, c := range r.Checks {
			checks[c.Result]++
			if c.Reused {
				reused++
			}
		}
		text += fmt.Sprintf("; %d checks passed (%d reused), %d failed", checks[Pass], reused, checks[Fail])
		if checks[Skip] > 0 {
			text += fmt.Sprintf(", %d skipped", checks[Skip])
		}
		text += casesSummary(r.Checks)
	}
	return text + " in " + Human(r.Seconds)
}
