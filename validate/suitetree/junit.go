package suitetree

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/ohpc-build/ohpc-build/validate"
)

// Bounds of what is read of results.
const (
	maxFiles  = 10_000
	maxFile   = 16 << 20
	maxCases  = 50_000
	maxText   = 8 << 10
	resultEnd = ".log.xml"
)

type testcase struct {
	Class   string   `xml:"classname,attr"`
	Name    string   `xml:"name,attr"`
	Time    float64  `xml:"time,attr"`
	Failure *message `xml:"failure"`
	Error   *message `xml:"error"`
	Skipped *message `xml:"skipped"`
}

type message struct {
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

func (m *message) String() string {
	text := strings.TrimSpace(m.Message + "\n" + m.Text)
	if len(text) > maxText {
		text = strings.ToValidUTF8(text[:maxText], "") + "…"
	}
	return text
}

// results reads the JUnit files below a folder, each by itself: what cannot be read
// is told. No link is followed.
func results(dir string) (cases []validate.Case, problems []string, err error) {
	root, err := os.OpenRoot(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	defer root.Close()
	files := 0
	err = fs.WalkDir(root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || !strings.HasSuffix(name, resultEnd) {
			return err
		}
		if files++; files > maxFiles {
			return fmt.Errorf("there are more than %d files of results", maxFiles)
		}
		more, err := readFile(root, filepath.FromSlash(name), maxCases-len(cases))
		cases = append(cases, more...)
		if err != nil {
			problems = append(problems, fmt.Sprintf("the results in %s: %v", name, err))
		}
		return nil
	})
	return cases, problems, err
}

func readFile(root *os.Root, name string, limit int) ([]validate.Case, error) {
	f, err := root.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return read(io.LimitReader(f, maxFile), path.Dir(filepath.ToSlash(name)), limit)
}

// read reads the cases of one file, wherever in it they are.
func read(r io.Reader, where string, limit int) ([]validate.Case, error) {
	var cases []validate.Case
	d := xml.NewDecoder(r)
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return cases, nil
		}
		if err != nil {
			return cases, err
		}
		start, ok := token.(xml.StartElement)
		if !ok || start.Name.Local != "testcase" {
			continue
		}
		if len(cases) >= limit {
			return cases, fmt.Errorf("there are more than %d tests", maxCases)
		}
		var c testcase
		if err := d.DecodeElement(&c, &start); err != nil {
			return cases, err
		}
		cases = append(cases, c.row(where))
	}
}

func (c testcase) row(where string) validate.Case {
	name := strings.TrimSpace(c.Name)
	if c.Class != "" {
		name = c.Class + ": " + name
	}
	const maxName = 500
	if name = where + ": " + name; len(name) > maxName {
		name = strings.ToValidUTF8(name[:maxName], "") + "…"
	}
	row := validate.Case{Name: name, Outcome: validate.Pass}
	if c.Time > 0 && c.Time < 1e7 {
		row.Duration = time.Duration(c.Time * float64(time.Second))
	}
	for _, m := range []*message{c.Failure, c.Error} {
		if m != nil {
			row.Outcome, row.Reason = validate.Fail, orElse(m.String(), "it failed and said nothing")
			return row
		}
	}
	if c.Skipped != nil {
		row.Outcome, row.Reason = validate.Skip, c.Skipped.String()
		if row.Reason == "" {
			row.Outcome, row.Reason = validate.Fail, "it was skipped and no reason was given"
		}
	}
	return row
}

func orElse(a, b string) string {
	if a == "" {
		return b
	}
	return a
}
