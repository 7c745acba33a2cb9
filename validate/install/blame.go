package install

import (
	"path"
	"slices"
	"strings"

	"github.com/ohpc-build/ohpc-build/repo/rpm"
	"github.com/ohpc-build/ohpc-build/validate/client"
)

// blame finds the package that is behind a path.
type blame struct {
	owners  map[string]string // of each packaged path
	config  map[string]bool   // configuration files
	ghosts  map[string]bool
	scripts []script
	names   []string
}

type script struct{ by, text string }

// scriptTags are rpm's scripts in the order in which they run (rpm: rpmtag.h).
var scriptTags = []struct {
	tag  rpm.Tag
	name string
}{
	{1151, "%pretrans"},
	{1023, "%pre"},
	{1024, "%post"},
	{1152, "%posttrans"},
	{1025, "%preun"},
	{1026, "%postun"},
	{1065, "a trigger"},
	{5066, "a file trigger"},
	{5076, "a file trigger"},
}

func newBlame(came []client.Installed, header func(client.Installed) *rpm.Package) *blame {
	b := &blame{owners: map[string]string{}, config: map[string]bool{}, ghosts: map[string]bool{}, names: client.Strings(came)}
	for _, i := range came {
		p := header(i)
		if p == nil {
			continue
		}
		for f := range p.Files() {
			b.owners[f.Path()] = p.NEVRA()
			b.config[f.Path()] = b.config[f.Path()] || f.Flags&rpm.FileConfig != 0
			b.ghosts[f.Path()] = b.ghosts[f.Path()] || f.IsGhost()
		}
		for _, s := range scriptTags {
			for text := range p.Header().Strings(s.tag) {
				b.scripts = append(b.scripts, script{s.name + " of " + p.NEVRA(), text})
			}
		}
	}
	return b
}

// expected says whether a path may stay: a configuration file that rpm saved because it
// had been changed since it was installed (rpm: rpmfi.c, .rpmsave), or a ghost.
func (b *blame) expected(path string) bool {
	original, saved := strings.CutSuffix(path, ".rpmsave")
	return saved && b.config[original] || b.ghosts[path]
}

// of names who may have made a path: its owner; the scripts that name it; otherwise
// whoever owns the nearest folder above it; otherwise all that was installed.
func (b *blame) of(at string) string {
	if by, ok := b.owners[at]; ok {
		return by
	}
	for name := at; name != "/"; name = path.Dir(name) {
		var by []string
		for _, s := range b.scripts {
			if strings.Contains(s.text, name) && !slices.Contains(by, s.by) {
				by = append(by, s.by)
			}
		}
		if len(by) > 0 && strings.Count(name, "/") > 1 { // a name such as /usr says nothing
			return strings.Join(by, ", ")
		}
		if by, ok := b.owners[name]; ok {
			return "below a folder of " + by
		}
	}
	if len(b.names) == 1 {
		return b.names[0]
	}
	return "one of " + list(b.names)
}
