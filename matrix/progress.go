package matrix

import "time"

// Progress is shown how a run goes. Its methods and those of its stages are
// called from many goroutines.
type Progress interface {
	// Stage begins a stage with a number of things to do.
	Stage(name string, total int) Stage
}

// Stage is one stage of a run.
type Stage interface {
	Begin(what string)    // what is being worked on
	End(what, how string) // it ended: "built in 36s", "failed: …"
	Close()               // the stage is over
}

// Expecter is a [Stage] that makes something of how long things are expected to
// take. It is told before they begin; those that it is not told of take as long
// as the others on average.
type Expecter interface {
	Expect(what string, d time.Duration)
}

// NoProgress shows nothing.
type NoProgress struct{}

// Stage implements [Progress].
func (NoProgress) Stage(string, int) Stage { return noStage{} }

type noStage struct{}

func (noStage) Begin(string)       {}
func (noStage) End(string, string) {}
func (noStage) Close()             {}
