package toolchain

import (
	"bytes"
	"embed"
	"fmt"
	"text/template"
)

// launcher is what stands in for a program that needs a word before it starts:
// a script of bash, as small as it can be, for every compiler runs through it.
// bash runs privileged (-p) so that no variable of the build's, such as BASH_ENV
// which Lmod sets, reaches it.
type launcher struct {
	Folder     string
	Name       string // of the program in native/ and own/
	Loader     string // of native programs
	Pass       string // cc1, cc1plus, f951
	Triplet    string
	Version    string   // of GCC as its folders are called
	OwnOptions []string // patterns
}

//go:embed launch/*.sh
var launchFiles embed.FS

var launchers = template.Must(template.ParseFS(launchFiles, "launch/*.sh"))

func (l launcher) write(script string) ([]byte, error) {
	var text bytes.Buffer
	if err := launchers.ExecuteTemplate(&text, script, l); err != nil {
		return nil, fmt.Errorf("writing a launcher: %w", err)
	}
	return text.Bytes(), nil
}
