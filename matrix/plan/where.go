package plan

import (
	"fmt"

	"github.com/ohpc-build/ohpc-build/matrix/plan/specline"
)

// Lines tells where jobs' build requirements are written, reading each file once.
type Lines struct{ lines *lines }

// NewLines gets the texts of files by their paths from read.
func NewLines(read func(path string) ([]byte, error)) *Lines { return &Lines{newLines(read)} }

// BuildRequires is file:line of a build requirement of a job, or only the file where
// no line can be told; "" when there is no file.
func (l *Lines) BuildRequires(j *Job, requirement string) string {
	file, line := l.lines.of(j, specline.BuildRequires, requirement)
	if file == "" || line == 0 {
		return file
	}
	return fmt.Sprintf("%s:%d", file, line)
}
