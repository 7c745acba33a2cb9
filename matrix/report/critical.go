package report

// CriticalPath names the jobs that decided how long the builds took, in the order
// in which they ran: the one that ended last, before it the one of its needs that
// ended last, and so on. Jobs that did not run are no part of it.
func (r *Run) CriticalPath() []string {
	byID := jobsByID(r)
	ended := func(j Job) float64 { return j.Begin + j.Seconds }
	var last Job
	for _, j := range r.Jobs {
		if j.Seconds > 0 && ended(j) > ended(last) {
			last = j
		}
	}
	var path []string
	// A job that is met again is part of a circle, which only a file from elsewhere has.
	for met := map[string]bool{}; last.ID != "" && !met[last.ID]; {
		met[last.ID] = true
		path = append([]string{last.ID}, path...)
		var before Job
		for _, id := range last.Needs {
			if j := byID[id]; j != nil && j.Seconds > 0 && ended(*j) > ended(before) {
				before = *j
			}
		}
		last = before
	}
	return path
}
