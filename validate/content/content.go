package content

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/ohpc-build/ohpc-build/repo/rpm"
	"github.com/ohpc-build/ohpc-build/repo/rpm/payload"
)

// Version grows when the same package may be judged otherwise: what was kept of
// earlier looks at it is then worth nothing.
const Version = "2"

// Report is what one package shows by itself. It can be kept as JSON.
type Report struct {
	Package  string    `json:"package"` // NEVRA
	Name     string    `json:"name"`
	Arch     string    `json:"arch"`
	Findings []Finding `json:"findings,omitempty"`
	Scripts  []Script  `json:"scripts,omitempty"`
	BuildIDs []Built   `json:"build_ids,omitempty"`
}

// Script is an executable file that another program runs. Whether that program is
// there takes more than one package to tell.
type Script struct {
	Path        string `json:"path"`
	Interpreter string `json:"interpreter"`
}

// Built is a linked ELF file with a build ID.
type Built struct {
	ID     string `json:"id"`
	Path   string `json:"path"`
	Digest string `json:"digest"` // of the file, as the header has it
}

// maxFindings bounds what is told of one package: after that, more of them help
// nobody.
const maxFindings = 200

// maxContent bounds how much of one package is read, in bytes.
const maxContent = 64 << 30

// errEnough ends reading a package of which enough is known.
var errEnough = errors.New("there are more findings than are told")

// Inspect looks into the package in file. The error says that it cannot be read.
func Inspect(ctx context.Context, p *rpm.Package, file io.ReaderAt) (*Report, error) {
	in := &inspection{room: maxUnpacked, report: &Report{Package: p.NEVRA(), Name: p.Name, Arch: p.Arch}, files: map[string]rpm.File{}}
	err := in.run(ctx, p, file)
	if err != nil && !errors.Is(err, errEnough) {
		return nil, fmt.Errorf("looking into %s: %w", p.NEVRA(), err)
	}
	for i := range in.report.Findings {
		in.report.Findings[i].Package, in.report.Findings[i].Name = p.NEVRA(), p.Name
	}
	return in.report, nil
}

// inspection is the look into one package.
type inspection struct {
	report *Report
	files  map[string]rpm.File
	read   int64 // bytes of the payload
	room   int64 // bytes that may still be unpacked of what is packed in it
	block  []byte
	window window
}

func (in *inspection) run(ctx context.Context, p *rpm.Package, file io.ReaderAt) error {
	capabilities := []string{}
	for c := range p.Header().Strings(tagFileCaps) {
		capabilities = append(capabilities, c)
	}
	accounts := accountsOf(p)
	i := 0
	for f := range p.Files() {
		in.files[f.Path()] = f
		capability := ""
		if i < len(capabilities) {
			capability = capabilities[i]
		}
		i++
		if err := in.listed(f, capability, accounts); err != nil {
			return err
		}
	}
	if p.FileCount() == 0 {
		return nil
	}
	return payload.Walk(ctx, p, file, func(m payload.Member, content io.Reader) error {
		if in.read += int64(m.Size); in.read > maxContent {
			return fmt.Errorf("it has more than %d GiB of content", int64(maxContent>>30))
		}
		f := in.files[m.Path]
		if m.Size == 0 || !m.Regular() || f.IsLink() || f.IsDir() {
			return nil
		}
		return in.file(ctx, f, int64(m.Size), content)
	})
}

// tagFileCaps are the capabilities of files (rpm: RPMTAG_FILECAPS).
const tagFileCaps rpm.Tag = 5010

func (in *inspection) find(path string, rule Rule, mend, format string, args ...any) error {
	if len(in.report.Findings) >= maxFindings {
		return errEnough
	}
	in.report.Findings = append(in.report.Findings, Finding{
		Path: printable(path), Rule: rule, What: printable(fmt.Sprintf(format, args...)), Mend: mend,
	})
	return nil
}

const maxText = 400

// printable is foreign text as it can be shown in a line.
func printable(s string) string {
	if len(s) > maxText {
		s = s[:maxText] + "…"
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return '\uFFFD'
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
}
