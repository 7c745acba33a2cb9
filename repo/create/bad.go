package create

import (
	"fmt"
	"strings"
)

// BadFilesError names the files for which there can be no metadata.
type BadFilesError struct {
	Files []BadFile
}

// BadFile is one of them.
type BadFile struct {
	Path string // in the folder of packages
	Err  error
}

// shown is how many files an error names.
const shown = 20

func (e *BadFilesError) Error() string {
	var b strings.Builder
	b.WriteString("the metadata are left as they were, because of")
	for _, f := range e.Files[:min(shown, len(e.Files))] {
		fmt.Fprintf(&b, "\n  %s: %v", plain(f.Path), f.Err)
	}
	if more := len(e.Files) - shown; more > 0 {
		fmt.Fprintf(&b, "\n  and %d more", more)
	}
	return b.String()
}

// plain is a path as it is where a terminal can show it, quoted where not.
func plain(path string) string {
	if q := fmt.Sprintf("%q", path); q[1:len(q)-1] != path {
		return q
	}
	return path
}

// badFiles collects them.
type badFiles []BadFile

func (b *badFiles) add(path string, err error) { *b = append(*b, BadFile{path, err}) }

func (b badFiles) err() error {
	if len(b) == 0 {
		return nil
	}
	return &BadFilesError{b}
}
