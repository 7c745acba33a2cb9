package plan

import (
	"path"

	"github.com/ohpc-build/ohpc-build/matrix/plan/specline"
)

// lines finds where requirements are written.
type lines struct {
	read  func(path string) ([]byte, error)
	texts map[string]*specline.Text // nil: it cannot be read
}

func newLines(read func(string) ([]byte, error)) *lines {
	return &lines{read: read, texts: map[string]*specline.Text{}}
}

// of is the file and the line of a requirement of a job: its spec or what that
// includes. The line is 0 when it is not found.
func (l *lines) of(j *Job, kind specline.Kind, requirement string) (file string, line int) {
	best := 0
	files, seen := []string{j.Spec}, map[string]bool{}
	for len(files) > 0 {
		name := files[0]
		files = files[1:]
		text := l.text(name)
		if text == nil || seen[name] {
			continue
		}
		seen[name] = true
		if n, likeness := text.Find(kind, requirement); likeness > best {
			file, line, best = name, n, likeness
		}
		for _, include := range text.Includes() {
			for _, f := range j.Files {
				if path.Base(f) == include {
					files = append(files, f)
				}
			}
		}
	}
	if file == "" {
		file = j.Spec
	}
	return file, line
}

func (l *lines) text(name string) *specline.Text {
	text, ok := l.texts[name]
	if !ok && l.read != nil && name != "" {
		if data, err := l.read(name); err == nil {
			text = specline.Read(data)
		}
		l.texts[name] = text
	}
	return text
}
