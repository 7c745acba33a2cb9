package compare

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/ohpc-build/ohpc-build/repo/rpm"
	"github.com/ohpc-build/ohpc-build/repo/rpm/compare/text"
)

// Difference is one place in which two packages differ. What is in it has been
// shortened and is safe to print.
type Difference struct {
	Tag  string `json:"tag,omitempty"`  // of the header, as rpm names it
	File string `json:"file,omitempty"` // path in the package
	Part string `json:"part,omitempty"` // of the tag or the file, such as "mode" or "section .text"
	A    string `json:"a,omitempty"`    // what the first package has there
	B    string `json:"b,omitempty"`    // what the second has
	Diff string `json:"diff,omitempty"` // of texts: their lines
}

// Where names the place.
func (d Difference) Where() string {
	var words []string
	if d.Tag != "" {
		words = append(words, "tag "+d.Tag)
	}
	if d.File != "" {
		words = append(words, d.File)
	}
	if d.Part != "" {
		words = append(words, d.Part)
	}
	return strings.Join(words, ", ")
}

// String is the place and both values, on one line but for texts.
func (d Difference) String() string {
	if d.Diff != "" {
		return d.Where() + ":\n" + strings.TrimSuffix(d.Diff, "\n")
	}
	if d.A == "" && d.B == "" {
		return d.Where()
	}
	return fmt.Sprintf("%s: %s | %s", d.Where(), orNothing(d.A), orNothing(d.B))
}

func orNothing(s string) string {
	if s == "" {
		return "–"
	}
	return s
}

// Result is what a comparison found.
type Result struct {
	Differences []Difference `json:"differences"`
	Further     int          `json:"further,omitempty"` // how many were found and are not told
}

// Same says that the packages differ in their signatures at most.
func (r *Result) Same() bool { return len(r.Differences) == 0 }

const (
	maxDifferences = 100 // that are told of one pair of packages
	maxPerTag      = 8   // elements of one tag
	maxPerFile     = 16  // places in one file
)

// Files compares the packages at two paths. Files of the payload that differ are
// unpacked below scratch and removed again.
func Files(ctx context.Context, a, b, scratch string) (*Result, error) {
	x, err := open(a)
	if err != nil {
		return nil, err
	}
	defer x.file.Close()
	y, err := open(b)
	if err != nil {
		return nil, err
	}
	defer y.file.Close()
	return (&comparison{a: x, b: y, scratch: scratch}).run(ctx)
}

// side is one of the two packages.
type side struct {
	*rpm.Package
	file *os.File
}

func open(path string) (side, error) {
	p, err := rpm.ReadFile(path)
	if err != nil {
		return side{}, err
	}
	f, err := os.Open(path)
	if err != nil {
		return side{}, fmt.Errorf("comparing packages: %w", err)
	}
	return side{p, f}, nil
}

// comparison collects what is found.
type comparison struct {
	a, b    side
	scratch string
	result  Result
}

func (c *comparison) add(d Difference) {
	if len(c.result.Differences) == maxDifferences {
		c.result.Further++
		return
	}
	d.Tag, d.File, d.Part = text.Printable(d.Tag), text.Printable(d.File), text.Printable(d.Part)
	c.result.Differences = append(c.result.Differences, d)
}

func (c *comparison) found() int { return len(c.result.Differences) + c.result.Further }

func (c *comparison) run(ctx context.Context) (*Result, error) {
	same, err := c.same(ctx)
	if err != nil || same {
		return &c.result, err
	}
	files := c.fileLists()
	c.header(files)
	if err := c.payload(ctx, files); err != nil {
		return nil, err
	}
	if c.found() == 0 {
		// The same tags and the same files, so what is left is how they are written.
		c.digests()
	}
	if c.found() == 0 {
		c.add(Difference{Part: "bytes of the header that belong to no tag"})
	}
	return &c.result, nil
}

// same says whether all that signatures cover is equal.
func (c *comparison) same(ctx context.Context) (bool, error) {
	a, err := c.a.ContentDigest(ctx, c.a.file)
	if err != nil {
		return false, err
	}
	b, err := c.b.ContentDigest(ctx, c.b.file)
	return a == b, err
}
