package trial

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/ohpc-build/ohpc-build/matrix/repodata"
	"github.com/ohpc-build/ohpc-build/validate"
	"github.com/ohpc-build/ohpc-build/validate/closure"
)

// closureCheck is the check's name in a target.
const closureCheck = "closure"

// tryClosure asks whether each requirement of each package of the snapshot has a
// provider in the snapshot, in what it is an overlay on, or in the image.
func (t *Trial) tryClosure(ctx context.Context, k check) (validate.Check, error) {
	begin := time.Now()
	below, err := t.baseList(ctx)
	if err != nil {
		return validate.Check{}, err
	}
	tested, err := repodata.Open(ctx, t.cell.Snapshot.Dir)
	if err != nil {
		return validate.Check{}, err
	}
	r, err := closure.Check(ctx, closure.Options{
		Tested: []closure.Repository{tested}, Base: below, Architectures: []string{t.cell.Arch},
	})
	if err != nil {
		return validate.Check{}, err
	}
	var log strings.Builder
	for _, m := range r.Missing {
		fmt.Fprintf(&log, "%s requires %s, which nothing provides", m.Package, m.Requirement)
		if m.Nearest != "" {
			fmt.Fprintf(&log, "; %s", m.Nearest)
		}
		log.WriteByte('\n')
	}
	result := validate.Check{Name: k.name, Subject: k.subject, Outcome: validate.Pass, Duration: time.Since(begin)}
	if len(r.Missing) > 0 {
		result.Outcome, result.Reason = validate.Fail, strings.TrimSpace(log.String())
	}
	fmt.Fprintf(&log, "%d requirements of %d packages, %d not met\n", r.Requirements, r.Packages, len(r.Missing))
	result.Log = []byte(log.String())
	return result, nil
}
