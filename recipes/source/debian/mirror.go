package debian

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"strings"
	"time"
)

const (
	// showSources is a hook of mmdebstrap that shows where it would take packages
	// from, and ends it before it does.
	showSources = `cat "$1/etc/apt/sources.list" >&2; exit 1`

	mirrorTimeout = time.Minute
)

// suiteName is what may be handed to mmdebstrap as a suite.
var suiteName = regexp.MustCompile(`^[a-z][a-z0-9-]*$`)

// defaultMirrors are those that mmdebstrap uses for a suite unless it is told
// others: the ones for a host that is not of that suite, such as Ubuntu.
func defaultMirrors(ctx context.Context, suite string) ([]string, error) {
	if !suiteName.MatchString(suite) {
		return nil, fmt.Errorf("%q is not the name of a suite", suite)
	}
	ctx, cancel := context.WithTimeout(ctx, mirrorTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, "mmdebstrap", "--variant=custom", "--format=null", "--setup-hook="+showSources, suite, "/dev/null")
	var out bytes.Buffer
	cmd.Stderr = &out
	cmd.WaitDelay = 5 * time.Second
	err := cmd.Run() // always fails: the hook says so
	if mirrors := mirrorsIn(out.String(), suite); len(mirrors) > 0 {
		return mirrors, nil
	}
	if errors.Is(err, exec.ErrNotFound) {
		return nil, err
	}
	return nil, fmt.Errorf("mmdebstrap knows no mirror of %s either: %s", suite, complaint(out.String()))
}

// mirrorsIn finds the addresses of a suite in lines of a sources.list.
func mirrorsIn(text, suite string) []string {
	var mirrors []string
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) > 2 && fields[0] == "deb" && strings.HasPrefix(fields[1], "[") {
			end := 1
			for end < len(fields)-1 && !strings.HasSuffix(fields[end], "]") {
				end++
			}
			fields = append(fields[:1], fields[end+1:]...)
		}
		if len(fields) >= 4 && fields[0] == "deb" && fields[2] == suite && strings.Contains(fields[1], "://") {
			mirrors = append(mirrors, fields[1])
		}
	}
	return mirrors
}
