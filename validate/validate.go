package validate

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// Command is one command in a container.
type Command struct {
	Args    []string
	Env     []string
	Mounts  []Mount
	Base    []string // folders with changes that the container begins with, the uppermost first; read-only
	Changes string   // folder that holds earlier commands' changes and receives this one's; "" to forget them
	Root    bool     // as root with what a package manager may do; otherwise an ordinary user without rights
	User    uint32   // that user's number; 0: nobody's
	Timeout time.Duration
	Output  io.Writer // standard output
	Errors  io.Writer // standard error; nil: Output
}

// Mount shows a file or folder of the host in the container, read-only.
type Mount struct {
	Source, Destination string
}

// Container runs commands on the image of one cell. A command's own failure is
// reported as an error that has ExitCode() int; any other error means that it
// could not be run.
type Container interface {
	Run(ctx context.Context, cmd Command) error
}

// Outcome is a check's result.
type Outcome string

// The outcomes. A skip carries a reason.
const (
	Pass Outcome = "pass"
	Fail Outcome = "fail"
	Skip Outcome = "skip"
)

// Check is one validation with its result.
type Check struct {
	Name     string // as targets require it
	Subject  string // the package or recipe that was tried
	Outcome  Outcome
	Reason   string // why it failed or was skipped
	Duration time.Duration
	Log      []byte // what was tried and what was printed, at most maxLog bytes
	Cases    []Case // what it consists of, if it consists of several
}

// maxLog bounds what is kept of one check's output.
const maxLog = 4 << 20

// Run fills in a check from the steps that it consists of. An error of theirs is why
// it failed; a [SkipError] is why it was not tried.
func Run(ctx context.Context, name, subject string, steps func(log io.Writer) error) Check {
	begin := time.Now()
	log := &limited{limit: maxLog}
	err := steps(log)
	c := Check{Name: name, Subject: subject, Outcome: Pass, Duration: time.Since(begin), Log: log.Bytes()}
	var skip *SkipError
	switch {
	case ctx.Err() != nil:
		c.Outcome, c.Reason = Skip, "interrupted"
	case errors.As(err, &skip):
		c.Outcome, c.Reason = Skip, skip.Reason
	case err != nil:
		c.Outcome, c.Reason = Fail, reason(err, log.Bytes())
	}
	return c
}

// SkipError says why there was nothing to try.
type SkipError struct{ Reason string }

func (e *SkipError) Error() string { return "skipped: " + e.Reason }

// Finding is an error that says everything by itself, without the log's last lines.
type Finding struct{ Text string }

func (f *Finding) Error() string { return f.Text }

// reason is the error and the log's last lines: what a person looks at first.
func reason(err error, log []byte) string {
	if errors.As(err, new(*Finding)) {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(log)), "\n")
	if len(lines) > 12 {
		lines = lines[len(lines)-12:]
	}
	return strings.TrimSpace(err.Error() + "\n" + strings.Join(lines, "\n"))
}

// limited keeps the first limit bytes and says that more were written. It has no
// further methods: with ReadFrom, whoever copies into it would pass the limit by.
type limited struct {
	kept  bytes.Buffer
	limit int
}

func (l *limited) Write(p []byte) (int, error) {
	if room := l.limit - l.kept.Len(); room > 0 {
		l.kept.Write(p[:min(room, len(p))])
		if len(p) >= room {
			fmt.Fprintf(&l.kept, "\n… more than %d MiB; the rest is not kept\n", l.limit>>20)
		}
	}
	return len(p), nil
}

// Bytes is what was kept.
func (l *limited) Bytes() []byte { return l.kept.Bytes() }
