package suite

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"time"

	"github.com/ohpc-build/ohpc-build/validate"
)

// CheckName is the check's name in a target.
const CheckName = "suite"

// Extension is that of scripts that BATS reads; others are run by bash.
const Extension = ".bats"

// Where a container finds what it is to run.
const (
	testsInside = "/tests"
	batsInside  = "/opt/bats"
)

// Suite is a script and where it runs.
type Suite struct {
	Subject string // what it tests
	Dir     string // folder on the host with the script and what it finds beside it
	Script  string // its name there
	BATS    string // folder on the host with bats-core; for scripts that end in .bats

	Env   []string
	Base  []string // folders with what was installed for it, the uppermost first
	Limit time.Duration

	Quarantine []Quarantine // those in force
}

// Run runs a suite as an ordinary user in a fresh container without a network. All
// results are in the check, whose own is that of the cases that count: it is
// skipped when none of them does.
func Run(ctx context.Context, c validate.Container, s Suite) validate.Check {
	var cases []validate.Case
	check := validate.Run(ctx, CheckName, s.Subject, func(log io.Writer) error {
		var err error
		if path.Ext(s.Script) == Extension {
			cases, err = s.bats(ctx, c, log)
		} else {
			cases, err = s.script(ctx, c, log)
		}
		return err
	})
	check.Cases = cases
	return check
}

// bats runs a file of tests.
func (s Suite) bats(ctx context.Context, c validate.Container, log io.Writer) ([]validate.Case, error) {
	if s.BATS == "" {
		return nil, &validate.SkipError{Reason: "there is no BATS to run it with"}
	}
	results := newTAP()
	cmd := s.command([]string{
		"/bin/bash", path.Join(batsInside, "bin", "bats"), "--formatter", "cat", "--timing", "--print-output-on-failure",
		path.Join(testsInside, s.Script),
	})
	cmd.Mounts = append(cmd.Mounts, validate.Mount{Source: s.BATS, Destination: batsInside})
	cmd.Output, cmd.Errors = io.MultiWriter(results, log), log
	err := c.Run(ctx, cmd)
	if ctx.Err() != nil {
		return nil, err
	}
	interrupted := ""
	status, ended := exitCode(err)
	if !ended {
		interrupted = err.Error()
	}
	cases, problems := results.close(interrupted)
	failed := count(cases, validate.Fail)
	switch {
	case !ended:
		problems = append([]string{err.Error()}, problems...)
	case status > 1 || status == 1 && failed == 0:
		problems = append([]string{fmt.Sprintf("BATS itself failed: %v", err)}, problems...)
	case status == 0 && failed > 0 && len(problems) == 0 && !onlyUnexplained(cases):
		problems = append(problems, "BATS says that all is well, and its results that it is not")
	}
	return cases, s.verdict(cases, problems)
}

// script runs a plain script, which is one case by its exit status.
func (s Suite) script(ctx context.Context, c validate.Container, log io.Writer) ([]validate.Case, error) {
	begin := time.Now()
	cmd := s.command([]string{"/bin/bash", path.Join(testsInside, s.Script)})
	cmd.Output = log
	err := c.Run(ctx, cmd)
	if ctx.Err() != nil {
		return nil, err
	}
	one := validate.Case{Name: s.Script, Outcome: validate.Pass, Duration: time.Since(begin)}
	if err != nil {
		one.Outcome, one.Reason = validate.Fail, err.Error()
	}
	cases := []validate.Case{one}
	if err != nil && len(s.Quarantine) == 0 {
		return cases, fmt.Errorf("%s: %w", s.Script, err) // with the log's last lines
	}
	return cases, s.verdict(cases, nil)
}

func (s Suite) command(args []string) validate.Command {
	return validate.Command{
		Args:    args,
		Env:     append([]string{"HOME=/tmp", "LC_ALL=C.UTF-8", "TERM=dumb"}, s.Env...),
		Mounts:  []validate.Mount{{Source: s.Dir, Destination: testsInside}},
		Base:    s.Base,
		Timeout: s.Limit,
	}
}

// verdict is the check's result as an error, after what is in quarantine was taken
// out of the count.
func (s Suite) verdict(cases []validate.Case, problems []string) error {
	for _, name := range apply(s.Quarantine, cases) {
		problems = append(problems, fmt.Sprintf("%q is in quarantine, and there is no such test", name))
	}
	for _, q := range s.Quarantine {
		if q.Case == "" {
			return &validate.SkipError{Reason: strings.Join(append([]string{whole(q, cases)}, problems...), "\n")}
		}
	}
	failed, skipped := count(cases, validate.Fail), count(cases, validate.Skip)
	if failed == 0 && len(problems) == 0 {
		if skipped == len(cases) {
			return &validate.SkipError{Reason: fmt.Sprintf("all %d tests were skipped, such as %s: %s", skipped, cases[0].Name, firstLine(cases[0].Reason))}
		}
		return nil
	}
	lines := problems
	if failed > 0 {
		lines = append([]string{fmt.Sprintf("%d of %d tests failed", failed, len(cases))}, lines...)
	}
	const told = 5
	for _, c := range cases {
		if c.Outcome == validate.Fail && len(lines) < told+len(problems)+1 {
			lines = append(lines, c.Name+": "+c.Reason)
		}
	}
	return &validate.Finding{Text: strings.Join(lines, "\n")}
}

func whole(q Quarantine, cases []validate.Case) string {
	failed := 0
	for _, c := range cases {
		if c.Ran == validate.Fail {
			failed++
		}
	}
	return fmt.Sprintf("in quarantine until %s: %s; %d of %d tests failed", q.Until.Format(time.DateOnly), q.Reason, failed, len(cases))
}

// onlyUnexplained says whether all that failed was skipped without a reason, which
// BATS does not mind.
func onlyUnexplained(cases []validate.Case) bool {
	for _, c := range cases {
		if c.Outcome == validate.Fail && !strings.HasPrefix(c.Reason, unexplained) {
			return false
		}
	}
	return true
}

func count(cases []validate.Case, o validate.Outcome) int {
	n := 0
	for _, c := range cases {
		if c.Outcome == o {
			n++
		}
	}
	return n
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}

// exitCode is the status that a command ended with by itself, if it did.
func exitCode(err error) (code int, ended bool) {
	if err == nil {
		return 0, true
	}
	var exit interface{ ExitCode() int }
	if errors.As(err, &exit) {
		return exit.ExitCode(), true
	}
	return 0, false
}
