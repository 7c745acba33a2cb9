package suite

import (
	"fmt"
	"time"

	"github.com/ohpc-build/ohpc-build/validate"
)

// Quarantine keeps the result of a case, or of all, from counting until a day ends.
type Quarantine struct {
	Case   string // its name; empty: all cases
	Until  time.Time
	Reason string
}

// InForce are those of some quarantines that have not run out. The last day counts,
// everywhere on earth as in UTC.
func InForce(all []Quarantine, now time.Time) []Quarantine {
	var left []Quarantine
	for _, q := range all {
		if now.UTC().Before(q.Until.UTC().AddDate(0, 0, 1)) {
			left = append(left, q)
		}
	}
	return left
}

// apply takes cases out of the count. What happened to them is kept.
func apply(all []Quarantine, cases []validate.Case) (unknown []string) {
	for _, q := range all {
		found := false
		for i := range cases {
			c := &cases[i]
			if q.Case != "" && q.Case != c.Name {
				continue
			}
			found = true
			if c.Outcome == validate.Skip {
				continue // it did not run
			}
			c.Ran = c.Outcome
			why := fmt.Sprintf("in quarantine until %s: %s; it %s", q.Until.Format(time.DateOnly), q.Reason, map[validate.Outcome]string{validate.Pass: "passed", validate.Fail: "failed"}[c.Ran])
			if c.Reason != "" {
				why += "\n" + c.Reason
			}
			c.Outcome, c.Reason = validate.Skip, why
		}
		if !found && q.Case != "" {
			unknown = append(unknown, q.Case)
		}
	}
	return unknown
}
