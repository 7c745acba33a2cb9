// Package excerpt takes out of a log what a report shows: its end, fit to be shown,
// and in it the line where things went wrong.
package excerpt

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/ohpc-build/ohpc-build/matrix/report/plain"
)

// Excerpt is the end of a log.
type Excerpt struct {
	Text    string `json:"text"`              // lines without their last end, fit to be shown
	First   int    `json:"first,omitempty"`   // the number of its first line in the log, from 1; 0: not known
	Failure int    `json:"failure,omitempty"` // the line of Text that tells the failure, from 1; 0: none does
	Size    int64  `json:"size"`              // bytes of the whole log
}

// countable is how much is read of a log only to number its lines.
const countable = 64 << 20

// maximumLine is how much of a line is shown: a linker's command may have a
// megabyte.
const maximumLine = 4000

// Tail reads the last bytes of a log, a file below root, from the beginning of a line.
func Tail(root *os.Root, name string, limit int64) (*Excerpt, error) {
	// A log is a regular file below the folder; what else has its name is not opened.
	stat, err := root.Lstat(name)
	if err == nil && !stat.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a regular file", name)
	}
	if err != nil {
		return nil, fmt.Errorf("reading a log: %w", err)
	}
	f, err := root.Open(name)
	if err != nil {
		return nil, fmt.Errorf("reading a log: %w", err)
	}
	defer f.Close()
	e := &Excerpt{Size: stat.Size()}
	skip := max(e.Size-limit, 0)
	if skip <= countable {
		e.First, err = lines(io.NewSectionReader(f, 0, skip))
		if err != nil {
			return nil, fmt.Errorf("reading the log %s: %w", name, err)
		}
		e.First++
	}
	b, err := io.ReadAll(io.NewSectionReader(f, skip, limit))
	if err != nil {
		return nil, fmt.Errorf("reading the log %s: %w", name, err)
	}
	if skip > 0 {
		// Without the rest of a line that began before.
		if i := bytes.IndexByte(b, '\n'); i >= 0 {
			b = b[i+1:]
			if e.First > 0 {
				e.First++
			}
		}
	}
	e.set(string(b))
	return e, nil
}

// set takes over a log's text.
func (e *Excerpt) set(s string) {
	all := strings.Split(strings.TrimSuffix(s, "\n"), "\n")
	for i, line := range all {
		all[i] = shown(line)
	}
	e.Text = strings.Join(all, "\n")
	e.Failure = Failure(all) + 1
}

// shown is a line as a terminal shows it: a carriage return begins it anew.
func shown(line string) string {
	line = strings.TrimRight(line, "\r")
	if i := strings.LastIndexByte(line, '\r'); i >= 0 {
		line = line[i+1:]
	}
	if len(line) > maximumLine {
		line = line[:maximumLine] + " …"
	}
	return plain.Text(line)
}

// Around returns up to n lines that tell the failure: what led to it and what
// follows. Without one it is the end.
func (e *Excerpt) Around(n int) []string {
	all := strings.Split(e.Text, "\n")
	if e.Failure == 0 {
		return all[max(len(all)-n, 0):]
	}
	begin := max(e.Failure-1-n/4, 0)
	end := min(begin+n, len(all))
	return all[max(end-n, 0):end]
}

func lines(r io.Reader) (n int, err error) {
	b := make([]byte, 128<<10)
	for {
		k, err := r.Read(b)
		n += bytes.Count(b[:k], []byte{'\n'})
		if errors.Is(err, io.EOF) {
			return n, nil
		}
		if err != nil {
			return n, err
		}
	}
}
