package builder

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"sync"
)

const (
	tailBytes = 16 << 10
	tailLines = 25
)

// floodFactor times the bytes that are kept is what a build may print before it is
// held to print without end.
const floodFactor = 4

// FloodError says that a build was ended because it did not stop printing.
type FloodError struct{ Limit int64 } // bytes

func (e *FloodError) Error() string {
	return fmt.Sprintf("it flooded its log: it printed more than %d MiB and was ended", e.Limit>>20)
}

// boundedLog passes on at most limit bytes and remembers the last ones: a build
// that floods its log fills neither the disk nor the memory.
type boundedLog struct {
	mu    sync.Mutex
	w     io.Writer
	seen  int64
	limit int64
	end   func(error) // ends the build, once
	tail  []byte
}

func newLog(w io.Writer, limit int64, end func(error)) *boundedLog {
	return &boundedLog{w: w, limit: limit, end: end}
}

func (l *boundedLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.remember(p)
	before := l.seen
	l.seen += int64(len(p))
	if before < l.limit {
		if _, err := l.w.Write(p[:min(int64(len(p)), l.limit-before)]); err != nil {
			return 0, fmt.Errorf("writing the log: %w", err)
		}
	}
	if before <= l.limit && l.seen > l.limit {
		if _, err := fmt.Fprintf(l.w, "\n… the log passed %d MiB; the rest is not kept\n", l.limit>>20); err != nil {
			return 0, fmt.Errorf("writing the log: %w", err)
		}
	}
	if flood := l.limit * floodFactor; before <= flood && l.seen > flood {
		l.end(&FloodError{Limit: flood})
	}
	return len(p), nil
}

func (l *boundedLog) remember(p []byte) {
	if len(p) >= tailBytes {
		l.tail = append(l.tail[:0], p[len(p)-tailBytes:]...)
		return
	}
	if over := len(l.tail) + len(p) - tailBytes; over > 0 {
		l.tail = append(l.tail[:0], l.tail[over:]...)
	}
	l.tail = append(l.tail, p...)
}

// Tail is the log's last lines.
func (l *boundedLog) Tail() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	lines := strings.Split(string(bytes.TrimRight(l.tail, "\n")), "\n")
	if len(lines) > tailLines {
		lines = lines[len(lines)-tailLines:]
	}
	return strings.Join(lines, "\n")
}
