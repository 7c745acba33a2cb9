package suite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/validate"
	"github.com/ohpc-build/ohpc-build/validate/suite/batscore"
)

// here runs commands on the host, with what is mounted put in its place. The BATS is
// the real one; containers are for the tests of those who have them.
type here struct{}

var errLate = errors.New("ran past its time limit")

func (here) Run(ctx context.Context, cmd validate.Command) error {
	args := append([]string(nil), cmd.Args...)
	for i, a := range args {
		for _, m := range cmd.Mounts {
			if rest, ok := strings.CutPrefix(a, m.Destination); ok {
				args[i] = m.Source + rest
			}
		}
	}
	ctx, cancel := context.WithTimeout(ctx, cmd.Timeout)
	defer cancel()
	c := exec.CommandContext(ctx, args[0], args[1:]...)
	c.Env = append([]string{"PATH=" + os.Getenv("PATH")}, cmd.Env...)
	c.Stdout, c.Stderr = cmd.Output, cmd.Errors
	if c.Stderr == nil {
		c.Stderr = cmd.Output
	}
	c.WaitDelay = 100 * time.Millisecond
	err := c.Run()
	if ctx.Err() != nil {
		return errLate
	}
	return err
}

// try runs one file of tests.
func try(t *testing.T, name, text string, change func(*Suite)) validate.Check {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
	bats := filepath.Join(t.TempDir(), "bats")
	require.NoError(t, batscore.Write(bats))
	s := Suite{Subject: "subject", Dir: dir, Script: name, BATS: bats, Limit: 30 * time.Second}
	if change != nil {
		change(&s)
	}
	return Run(t.Context(), here{}, s)
}

// told is a check's cases as lines.
func told(c validate.Check) []string {
	var lines []string
	for _, k := range c.Cases {
		line := fmt.Sprintf("%s %s", k.Outcome, k.Name)
		if k.Ran != "" {
			line += " ran " + string(k.Ran)
		}
		lines = append(lines, line)
	}
	return lines
}

func TestSuites(t *testing.T) {
	for name, test := range map[string]struct {
		text    string
		outcome validate.Outcome
		reason  []string // parts
		cases   []string
	}{
		"all pass": {
			"@test 'one in 5ms' { true; }\n@test 'two # skip' { true; }\n", validate.Pass, nil,
			[]string{"pass one in 5ms", "pass two # skip"},
		},
		"one fails": {
			"@test 'good' { true; }\n@test 'bad' { echo the cause; false; }\n", validate.Fail,
			[]string{"1 of 2 tests failed\nbad: (in test file ", "`@test 'bad' { echo the cause; false; }' failed\nthe cause"},
			[]string{"pass good", "fail bad"},
		},
		"one is skipped": {
			"@test 'good' { true; }\n@test 'not here' { skip 'no GPU'; }\n", validate.Pass, nil, []string{"pass good", "skip not here"},
		},
		"all are skipped": {
			"@test 'not here' { skip 'no GPU'; }\n", validate.Skip, []string{"all 1 tests were skipped, such as not here: no GPU"}, []string{"skip not here"},
		},
		"skipped without a reason": {
			"@test 'good' { true; }\n@test 'lazy' { skip; }\n", validate.Fail, []string{"lazy: it was skipped and no reason was given"}, []string{"pass good", "fail lazy"},
		},
		"no test":          {"true\n", validate.Fail, []string{"there is no test in it"}, nil},
		"a syntax error":   {"@test 'one' { true\n", validate.Fail, []string{"1 of 1 tests failed", "syntax error"}, []string{"fail setup_file failed"}},
		"a failing set-up": {"setup_file() { false; }\n@test 'one' { true; }\n@test 'two' { true; }\n", validate.Fail, []string{"only 1 of 2 tests ended"}, []string{"fail setup_file failed"}},
		"a failing tear-down": {
			"teardown_file() { false; }\n@test 'one' { true; }\n", validate.Fail, []string{"teardown_file failed"}, []string{"pass one", "fail teardown_file failed"},
		},
		"forged results": {
			"@test 'one' { echo 'ok 1 one' >&3; echo 'ok 7 seven' >&3; echo '1..9' >&3; }\n", validate.Fail,
			[]string{"test 7 ended, which was not announced", "the number of tests is told twice"},
			[]string{"pass one", "pass seven", "pass one"},
		},
		"BATS is killed": {"@test 'one' { kill -9 $PPID; sleep 1; }\n@test 'two' { true; }\n", validate.Fail, []string{"of 2 tests ended"}, nil},
		"no bytes of text": {
			"@test 'one' { printf 'a\\xff\\0b\\n'; false; }\n", validate.Fail, []string{"a\uFFFD"}, []string{"fail one"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := try(t, "x.bats", test.text, nil)
			require.Equal(t, test.outcome, c.Outcome, "%s\n%s", c.Reason, c.Log)
			for _, part := range test.reason {
				require.Contains(t, c.Reason, part)
			}
			if test.reason == nil {
				require.Empty(t, c.Reason)
			}
			if test.cases != nil {
				require.Equal(t, test.cases, told(c), string(c.Log))
			}
			for _, k := range c.Cases {
				require.True(t, k.Outcome == validate.Pass || k.Reason != "", "%s has no reason", k.Name)
			}
		})
	}
}

func TestScripts(t *testing.T) {
	c := try(t, "x.sh", "echo fine\n", nil)
	require.Equal(t, validate.Pass, c.Outcome, c.Reason)
	require.Equal(t, []string{"pass x.sh"}, told(c))
	c = try(t, "x.sh", "echo the cause >&2; exit 3\n", nil)
	require.Equal(t, validate.Fail, c.Outcome)
	require.Equal(t, "x.sh: exit status 3\nthe cause", c.Reason)
	require.Equal(t, []string{"fail x.sh"}, told(c))
}

// TestNeverEnding names the test that ran when time was up.
func TestNeverEnding(t *testing.T) {
	c := try(t, "x.bats", "@test 'quick' { true; }\n@test 'slow' { sleep 60; }\n", func(s *Suite) { s.Limit = 2 * time.Second })
	require.Equal(t, validate.Fail, c.Outcome)
	require.Equal(t, []string{"pass quick", "fail slow"}, told(c))
	require.Contains(t, c.Reason, "slow: ran past its time limit")
}

// TestFlood keeps a bounded part of what a test prints, and still its results.
func TestFlood(t *testing.T) {
	c := try(t, "x.bats", "@test 'loud' { head -c 1500000 /dev/zero | tr '\\0' x | fold -w 100; false; }\n@test 'after' { true; }\n", nil)
	require.Equal(t, []string{"fail loud", "pass after"}, told(c))
	require.Less(t, len(c.Cases[0].Reason), maxReason+1000)
	require.Less(t, len(c.Log), 5<<20)
	c = try(t, "x.bats", "@test 'one line' { head -c 2000000 /dev/zero | tr '\\0' x; false; }\n", nil)
	require.Equal(t, []string{"fail one line"}, told(c))
	require.Less(t, len(c.Reason), 2*maxReason)
}

func TestQuarantine(t *testing.T) {
	day := time.Date(2026, 12, 31, 0, 0, 0, 0, time.UTC)
	const text = "@test 'steady' { true; }\n@test 'flaky' { echo today not; false; }\n"
	of := func(q ...Quarantine) func(*Suite) { return func(s *Suite) { s.Quarantine = q } }

	c := try(t, "x.bats", text, of(Quarantine{"flaky", day, "issue 12"}))
	require.Equal(t, validate.Pass, c.Outcome, c.Reason)
	require.Equal(t, []string{"pass steady", "skip flaky ran fail"}, told(c))
	require.True(t, strings.HasPrefix(c.Cases[1].Reason, "in quarantine until 2026-12-31: issue 12; it failed\n"), c.Cases[1].Reason)
	require.Contains(t, c.Cases[1].Reason, "today not")

	c = try(t, "x.bats", text, of(Quarantine{"steady", day, "issue 12"}))
	require.Equal(t, validate.Fail, c.Outcome, "the other one counts")
	require.Equal(t, []string{"skip steady ran pass", "fail flaky"}, told(c))

	c = try(t, "x.bats", text, of(Quarantine{"flakey", day, "issue 12"}, Quarantine{"flaky", day, "issue 12"}))
	require.Equal(t, validate.Fail, c.Outcome)
	require.Equal(t, `"flakey" is in quarantine, and there is no such test`, c.Reason)

	c = try(t, "x.bats", text, of(Quarantine{"", day, "all of it"}))
	require.Equal(t, validate.Skip, c.Outcome)
	require.Equal(t, "in quarantine until 2026-12-31: all of it; 1 of 2 tests failed", c.Reason)
	require.Equal(t, []string{"skip steady ran pass", "skip flaky ran fail"}, told(c))

	c = try(t, "x.sh", "exit 1\n", of(Quarantine{"", day, "all of it"}))
	require.Equal(t, validate.Skip, c.Outcome)
}

func TestQuarantineEnds(t *testing.T) {
	q := []Quarantine{{Case: "flaky", Until: time.Date(2026, 12, 31, 0, 0, 0, 0, time.UTC)}}
	require.Len(t, InForce(q, time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)), 1)
	require.Len(t, InForce(q, time.Date(2026, 12, 31, 23, 59, 59, 0, time.UTC)), 1, "its last day counts")
	require.Empty(t, InForce(q, time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)))
}

func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	c := Run(ctx, here{}, Suite{Subject: "subject", Dir: t.TempDir(), Script: "x.bats", BATS: "/nowhere", Limit: time.Minute})
	require.Equal(t, validate.Skip, c.Outcome)
	require.Equal(t, "interrupted", c.Reason)
}

// FuzzTAP feeds hostile output in pieces: however it is cut, the cases are the same,
// bounded, and have reasons.
func FuzzTAP(f *testing.F) {
	f.Add("1..2\nbegin 1 a\nok 1 a in 3ms\nbegin 2 b\nnot ok 2 b\n# why\n", 7)
	f.Add("1..1\nok 1 a # skip\nok 99999999999 x\nnot ok -1 \n#\n", 1)
	f.Add("1..999999999\n1..1\nok 0 \x00\xff # skip # skip y\n", 3)
	f.Fuzz(func(t *testing.T, text string, cut int) {
		whole, parts := newTAP(), newTAP()
		_, _ = whole.Write([]byte(text))
		step := max(1, cut%64)
		for i := 0; i < len(text); i += step {
			_, _ = parts.Write([]byte(text[i:min(len(text), i+step)]))
		}
		cases, problems := whole.close("late")
		again, same := parts.close("late")
		require.Equal(t, cases, again)
		require.Equal(t, problems, same)
		require.LessOrEqual(t, len(cases), maxCases+1)
		for _, c := range cases {
			require.LessOrEqual(t, len(c.Name), maxName+len("…"))
			require.LessOrEqual(t, len(c.Reason), 3*maxReason)
		}
		if len(problems) == 0 {
			require.NotEmpty(t, cases)
		}
	})
}
