// Package trace writes a run in the trace event format, which Perfetto and
// chrome://tracing open: builds and checks are processes, slots are threads, and
// arrows lead along the critical path.
package trace

import (
	"encoding/json"
	"fmt"
	"io"
	"math"

	"github.com/ohpc-build/ohpc-build/matrix/report"
	"github.com/ohpc-build/ohpc-build/matrix/report/plain"
)

// event is one of the Trace Event Format (Google, "Trace Event Format", 2016).
type event struct {
	Name     string         `json:"name"`
	Phase    string         `json:"ph"`
	Category string         `json:"cat,omitempty"`
	Time     int64          `json:"ts"`            // microseconds since the run's start
	Duration int64          `json:"dur,omitempty"` // microseconds
	Process  int            `json:"pid"`
	Thread   int            `json:"tid"`
	ID       int            `json:"id,omitempty"` // of an arrow
	Bind     string         `json:"bp,omitempty"` // "e": the arrow ends at the enclosing event
	Args     map[string]any `json:"args,omitempty"`
}

type document struct {
	Events []event           `json:"traceEvents"`
	Unit   string            `json:"displayTimeUnit"`
	Other  map[string]string `json:"otherData"`
}

// The processes.
const (
	builds = 1
	checks = 2
)

// Write writes the run's timeline.
func Write(w io.Writer, r *report.Run) error {
	doc := document{Unit: "ms", Other: map[string]string{
		"program": r.Program, "release": r.Release, "started": r.Started.UTC().Format("2006-01-02T15:04:05Z"), "result": string(r.Result),
	}, Events: []event{name(builds, 0, "process_name", "builds"), name(checks, 0, "process_name", "checks")}}
	critical := map[string]bool{}
	path := r.CriticalPath()
	for _, id := range path {
		critical[id] = true
	}
	threads := map[[2]int]int{} // the place of each one's last event
	at := map[string]int{}      // the place of each job's event
	for _, bar := range r.Timeline() {
		ran := ""
		e := event{Phase: "X", Time: micro(bar.Begin), Duration: max(micro(bar.Seconds), 1), Process: builds, Thread: bar.Lane + 1}
		if bar.Check {
			e.Process = checks
			describeCheck(&e, r.Checks[bar.Index])
		} else {
			j := r.Jobs[bar.Index]
			describeJob(&e, j, critical[j.ID])
			ran = j.ID
		}
		thread := [2]int{e.Process, e.Thread}
		if last, used := threads[thread]; used {
			doc.Events[last].endBefore(e)
		} else {
			doc.Events = append(doc.Events, name(e.Process, e.Thread, "thread_name", fmt.Sprintf("slot %d", e.Thread)))
		}
		threads[thread] = len(doc.Events)
		if ran != "" {
			at[ran] = len(doc.Events)
		}
		doc.Events = append(doc.Events, e)
	}
	doc.Events = append(doc.Events, arrows(path, at, doc.Events)...)
	b, err := json.Marshal(doc)
	if err != nil {
		return fmt.Errorf("writing the trace: %w", err)
	}
	if _, err := w.Write(append(b, '\n')); err != nil {
		return fmt.Errorf("writing the trace: %w", err)
	}
	return nil
}

// endBefore shortens an event to the beginning of the next one in its thread: times are
// rounded, and Perfetto leaves out an event that ends within another.
func (e *event) endBefore(next event) {
	e.Duration = max(min(e.Duration, next.Time-e.Time), 1)
}

func name(process, thread int, what, is string) event {
	return event{Name: what, Phase: "M", Process: process, Thread: thread, Args: map[string]any{"name": is}}
}

func describeJob(e *event, j report.Job, critical bool) {
	e.Name, e.Category = plain.Line(j.ID), "build"
	e.Args = args(j.Result, j.Reason, j.Log)
	for name, value := range map[string]any{
		"recipe": plain.Line(j.Recipe), "variant": plain.Line(j.Variant), "cell": plain.Line(j.Target + "/" + j.Arch), "key": j.Key,
		"expectedSeconds": j.Expected, "cpuSeconds": j.CPUSeconds, "peakMemoryBytes": j.PeakMemory, "attempts": j.Attempts,
	} {
		if value != "" && value != 0 && value != 0.0 && value != int64(0) {
			e.Args[name] = value
		}
	}
	if critical {
		e.Args["criticalPath"] = true
		e.Category = "build,critical"
	}
}

func describeCheck(e *event, c report.Check) {
	e.Name, e.Category = plain.Line(c.Name+" "+c.Subject), "check"
	e.Args = args(c.Result, c.Reason, c.Log)
	e.Args["cell"] = plain.Line(c.Target + "/" + c.Arch)
}

func args(result report.Outcome, reason, log string) map[string]any {
	a := map[string]any{"result": result}
	if reason != "" {
		a["reason"] = plain.Text(reason)
	}
	if log != "" {
		a["log"] = plain.Line(log)
	}
	return a
}

// arrows lead from the end of each job of the path to the beginning of the next.
func arrows(path []string, at map[string]int, events []event) []event {
	var all []event
	for i := 1; i < len(path); i++ {
		from, to := events[at[path[i-1]]], events[at[path[i]]]
		all = append(
			all,
			// An arrow belongs to the event that encloses its time.
			event{Name: "critical path", Phase: "s", Category: "critical", Time: from.Time + from.Duration - 1, Process: from.Process, Thread: from.Thread, ID: i},
			event{Name: "critical path", Phase: "f", Category: "critical", Time: to.Time, Process: to.Process, Thread: to.Thread, ID: i, Bind: "e"},
		)
	}
	return all
}

func micro(seconds float64) int64 { return int64(math.Round(seconds * 1e6)) }
