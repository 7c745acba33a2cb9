package excerpt

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/ohpc-build/ohpc-build/matrix/report"
)

// Bounds of what is taken of logs: of each, and of all together. With many
// failures each gets less, down to the least.
const (
	most  = 64 << 10
	least = 4 << 10
	all   = 8 << 20
)

// Failed reads the ends of the logs of all jobs and checks that failed, by the
// log's path in the report's folder. A log that is gone or unreadable is left
// out: the report is worth having without it.
func Failed(r *report.Run, dir string) (map[string]*Excerpt, error) {
	logs := map[string]*Excerpt{}
	for _, j := range r.Jobs {
		if j.Result == report.Fail && filepath.IsLocal(j.Log) {
			logs[j.Log] = nil
		}
	}
	for _, c := range r.Checks {
		if c.Result == report.Fail && filepath.IsLocal(c.Log) {
			logs[c.Log] = nil
		}
	}
	if len(logs) == 0 {
		return logs, nil
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("reading the logs of %s: %w", dir, err)
	}
	defer root.Close()
	limit := max(least, min(most, all/len(logs)))
	for path := range logs {
		e, err := Tail(root, path, int64(limit))
		if err != nil {
			delete(logs, path)
			continue
		}
		logs[path] = e
	}
	return logs, nil
}
