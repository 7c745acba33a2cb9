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

// boundedLog passes on at most limit bytes and remembers the last ones: a build
// that floods its log fills neither the disk nor the memory.
type boundedLog struct {
	mu      sync.Mutex
	w       io.Writer
	left    int64
	limit   int64
	dropped bool
	tail    []byte
}

func newLog(w io.Writer, limit int64) *boundedLog {
	return &boundedLog{w: w, left: limit, limit: limit}
}

func (l *boundedLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.remember(p)
	keep := p
	if int64(len(keep)) > l.left {
		keep = keep[:l.left]
	}
	l.left -= int64(len(keep))
	if _, err := l.w.Write(keep); err != nil {
		return 0, fmt.Errorf("writing the log: %w", err)
	}
	if len(keep) < len(p) && !l.dropped {
		l.dropped = true
		if _, err := fmt.Fprintf(l.w, "\n… the log passed %d MiB; the rest is not kept\n", l.limit>>20); err != nil {
			return 0, fmt.Errorf("writing the log: %w", err)
		}
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
