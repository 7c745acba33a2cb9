package plan

import (
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"path"
	"slices"
	"strings"

	"github.com/ohpc-build/ohpc-build/validate/closure"
)

// Touched is what a change of some files would have run anew.
type Touched struct {
	Jobs      []TouchedJob `json:"jobs"` // in the order of the plan
	Unmatched []Unmatched  `json:"unmatched"`
}

// TouchedJob is one of the jobs, and why.
type TouchedJob struct {
	*Job

	// Because is "touched: components/OHPC_macros", the first of its files that
	// changed, or "needs …", a job that is touched.
	Because string
}

// Unmatched is a path that no job is made of.
type Unmatched struct {
	Path string `json:"path"`
	Hint string `json:"hint,omitempty"` // a path that there is instead
}

// NoMatchError says that none of the paths is one that a job is made of.
type NoMatchError struct{ Unmatched []Unmatched }

func (e *NoMatchError) Error() string {
	parts := make([]string, len(e.Unmatched))
	for i, u := range e.Unmatched {
		parts[i] = u.String()
	}
	return strings.Join(parts, "; ")
}

func (u Unmatched) String() string {
	if u.Hint != "" {
		return fmt.Sprintf("no job is made of %s (did you mean %s?)", u.Path, u.Hint)
	}
	return "no job is made of " + u.Path
}

// Touch finds the jobs that are made of one of these files, and all that need
// their packages to be built, directly or not. A path is one of [Job.Files], or
// a folder that stands for all below it; "." stands for everything. Jobs whose
// packages only require others when they are installed are not touched: they come
// out the same. The error is a *[NoMatchError] when no path is of any job.
func (p *Plan) Touch(paths []string) (*Touched, error) {
	clean := make([]string, len(paths))
	for i, name := range paths {
		clean[i] = path.Clean(name)
	}
	changed, matched := p.changed(clean)
	t := &Touched{Jobs: []TouchedJob{}, Unmatched: []Unmatched{}}
	because := map[string]bool{}
	for _, j := range p.Jobs {
		reason := ""
		for _, f := range j.Files {
			if changed[f] {
				reason = "touched: " + f
				break
			}
		}
		if reason == "" {
			if need := j.firstNeed(because); need != "" {
				reason = "needs " + need
			}
		}
		if reason != "" {
			because[j.ID] = true
			t.Jobs = append(t.Jobs, TouchedJob{j, reason})
		}
	}
	for i, name := range clean {
		if !matched[name] {
			t.Unmatched = append(t.Unmatched, Unmatched{paths[i], p.nearestFile(name)})
		}
	}
	if len(paths) > 0 && len(t.Unmatched) == len(paths) {
		return nil, &NoMatchError{t.Unmatched}
	}
	return t, nil
}

// firstNeed is the job of these that j needs: one that it asks for itself if
// there is such.
func (j *Job) firstNeed(of map[string]bool) string {
	for _, m := range j.Met {
		if of[m.Job] {
			return m.Job
		}
	}
	for _, need := range j.Needs {
		if of[need] {
			return need
		}
	}
	return ""
}

// changed are the files of jobs that the paths stand for, and those paths that
// stand for any.
func (p *Plan) changed(paths []string) (changed, matched map[string]bool) {
	wanted := map[string]bool{}
	for _, name := range paths {
		wanted[name] = true
	}
	changed, matched = map[string]bool{}, map[string]bool{}
	for f := range p.files() {
		if _, known := changed[f]; known {
			continue
		}
		changed[f] = false
		for part := f; ; part = path.Dir(part) {
			if wanted[part] {
				changed[f], matched[part] = true, true
			}
			if part == "." || part == "/" {
				break
			}
		}
	}
	return changed, matched
}

// files iterates over the files of all jobs, some of them many times.
func (p *Plan) files() iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, j := range p.Jobs {
			for _, f := range j.Files {
				if !yield(f) {
					return
				}
			}
		}
	}
}

// nearestFile is a file or a folder whose path is like name, or one with its
// base name.
func (p *Plan) nearestFile(name string) string {
	all := map[string]bool{}
	for f := range p.files() {
		for ; f != "." && f != "/" && !all[f]; f = path.Dir(f) {
			all[f] = true
		}
	}
	var same []string
	for f := range all {
		if path.Base(f) == path.Base(name) {
			same = append(same, f)
		}
	}
	if len(same) > 0 {
		return slices.MinFunc(same, func(a, b string) int {
			if len(a) != len(b) {
				return len(a) - len(b)
			}
			return strings.Compare(a, b)
		})
	}
	return closure.NewNames(func(yield func(string) bool) {
		for f := range all {
			if !yield(f) {
				return
			}
		}
	}).Nearest(name)
}

// JSON writes {"jobs":[{"id", …, "reason"}],"unmatched":[…]}, the same bytes for
// the same plan.
func (t *Touched) JSON(w io.Writer) error {
	type job struct {
		ID      string `json:"id"`
		Recipe  string `json:"recipe"`
		Variant string `json:"variant"`
		Target  string `json:"target"`
		Arch    string `json:"arch"`
		Because string `json:"reason"`
	}
	out := struct {
		Jobs      []job       `json:"jobs"`
		Unmatched []Unmatched `json:"unmatched"`
	}{[]job{}, t.Unmatched}
	for _, j := range t.Jobs {
		out.Jobs = append(out.Jobs, job{j.ID, j.Recipe, j.Variant, j.Target, j.Arch, j.Because})
	}
	return write(w, out)
}

func write(w io.Writer, what any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	if err := enc.Encode(what); err != nil {
		return fmt.Errorf("writing the plan: %w", err)
	}
	return nil
}
