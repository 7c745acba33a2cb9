package verify

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/ohpc-build/ohpc-build/builder"
	"github.com/ohpc-build/ohpc-build/builder/buildroot"
	"github.com/ohpc-build/ohpc-build/internal/store"
	"github.com/ohpc-build/ohpc-build/repo/rpm/compare"
)

// Builder builds a job under conditions that are not its usual ones.
type Builder interface {
	BuildUnder(ctx context.Context, job builder.Job, c builder.Conditions, log io.Writer) (*builder.Result, error)
}

// Verifier builds again what was built before.
type Verifier struct {
	store   *store.Store
	builder Builder
	memory  string // a folder of a file system in memory
}

// New returns a verifier for packages in st.
func New(st *store.Store, b Builder) *Verifier {
	return &Verifier{store: st, builder: b, memory: "/dev/shm"}
}

// Outcome is how the two builds of a job compare.
type Outcome struct {
	Conditions []Condition `json:"conditions"`
	Packages   []Package   `json:"packages"`
}

// Package is one package of both builds, or of one of them.
type Package struct {
	File   string          `json:"file"`
	First  store.Digest    `json:"first,omitempty"` // "" when only the second build made it
	Second store.Digest    `json:"second,omitempty"`
	Found  *compare.Result `json:"found,omitempty"` // nil: the same
}

// Same says that both builds made the same.
func (o *Outcome) Same() bool { return len(o.Different()) == 0 }

// Different are the packages that are not the same.
func (o *Outcome) Different() []Package {
	return slices.DeleteFunc(slices.Clone(o.Packages), func(p Package) bool { return p.Found == nil })
}

// Verify builds a job again and compares the packages with those of the first
// build. What rpmbuild prints goes to log. A difference is no error.
func (v *Verifier) Verify(ctx context.Context, job builder.Job, first *builder.Result, log io.Writer) (*Outcome, error) {
	c, told, err := v.others(job)
	if err != nil {
		return nil, err
	}
	if c.Dir != "" {
		defer os.RemoveAll(c.Dir)
		disk := cmp.Or(job.Limits.Disk, usualDisk)
		job.Limits.Disk = disk
		if job.Limits.Memory > 0 {
			job.Limits.Memory += disk // what is written to it is the build's memory too
		}
	}
	if job.Limits.Time > 0 {
		job.Limits.Time *= 2 // fewer processes side by side
	}
	// The shortest of builds must not begin in the second of the first one.
	select {
	case <-time.After(time.Second):
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	second, err := v.builder.BuildUnder(ctx, job, c, log)
	if err != nil {
		return nil, fmt.Errorf("the second build, under other conditions: %w", err)
	}
	o, err := v.Compare(ctx, first.Packages, second.Packages)
	if err != nil {
		return nil, err
	}
	o.Conditions = told
	return o, nil
}

// Compare compares the packages of two builds.
func (v *Verifier) Compare(ctx context.Context, first, second []buildroot.Package) (*Outcome, error) {
	o := &Outcome{}
	others := map[string]store.Digest{}
	for _, p := range second {
		others[p.File] = p.Digest
	}
	only := func(which string) *compare.Result {
		return &compare.Result{Differences: []compare.Difference{{Part: "only the " + which + " build made it"}}}
	}
	for _, p := range first {
		other, ok := others[p.File]
		delete(others, p.File)
		row := Package{File: p.File, First: p.Digest, Second: other}
		switch {
		case !ok:
			row.Found = only("first")
		case other != p.Digest:
			found, err := v.compare(ctx, p.Digest, other)
			if err != nil {
				return nil, fmt.Errorf("comparing two builds of %s: %w", p.File, err)
			}
			if !found.Same() {
				row.Found = found
			}
		}
		o.Packages = append(o.Packages, row)
	}
	for _, p := range second {
		if _, left := others[p.File]; left {
			o.Packages = append(o.Packages, Package{File: p.File, Second: p.Digest, Found: only("second")})
		}
	}
	return o, nil
}

func (v *Verifier) compare(ctx context.Context, a, b store.Digest) (*compare.Result, error) {
	first, err := v.store.Path(a)
	if err != nil {
		return nil, err
	}
	second, err := v.store.Path(b)
	if err != nil {
		return nil, err
	}
	scratch, err := v.store.Temp("verify-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(scratch)
	return compare.Files(ctx, first, second, scratch)
}

// Summary tells in a line what was varied and what was not.
func (o *Outcome) Summary() string {
	var varied, not []string
	for _, c := range o.Conditions {
		if c.Same != "" {
			not = append(not, fmt.Sprintf("%s (%s)", c.Name, c.Same))
			continue
		}
		varied = append(varied, c.Name)
	}
	text := fmt.Sprintf("%d packages the same with another %s", len(o.Packages)-len(o.Different()), strings.Join(varied, ", "))
	if len(o.Conditions) == 0 {
		text = fmt.Sprintf("%d packages the same when written twice", len(o.Packages)-len(o.Different()))
	}
	if len(not) > 0 {
		text += "; not varied: " + strings.Join(not, ", ")
	}
	return text
}

// WriteTo writes all of it as text.
func (o *Outcome) WriteTo(w io.Writer) (int64, error) {
	var sb strings.Builder
	sb.WriteString("Conditions of the first and of the second build:\n")
	for _, c := range o.Conditions {
		fmt.Fprintf(&sb, "  %s\n", c)
	}
	if len(o.Conditions) == 0 {
		sb.WriteString("  the same: rpmbuild does not run for a meta-package\n")
	}
	sb.WriteString("\nPackages:\n")
	for _, p := range o.Packages {
		how := "the same"
		if p.Found != nil {
			how = "differs"
		}
		fmt.Fprintf(&sb, "  %s: %s\n", p.File, how)
	}
	if !o.Same() {
		sb.WriteString("\n" + o.Table(-1) + "\n")
	}
	n, err := io.WriteString(w, sb.String())
	return int64(n), err
}

// Table lists at most limit differences, what the first build made to the left of
// what the second made; a negative limit is none.
func (o *Outcome) Table(limit int) string {
	var sb strings.Builder
	told, left := 0, 0
	for _, p := range o.Different() {
		fmt.Fprintf(&sb, "%s\n", filepath.Base(p.File))
		for _, d := range p.Found.Differences {
			if limit >= 0 && told == limit {
				left++
				continue
			}
			told++
			sb.WriteString("  " + strings.ReplaceAll(d.String(), "\n", "\n    ") + "\n")
		}
		left += p.Found.Further
	}
	if left > 0 {
		fmt.Fprintf(&sb, "… and %d differences more\n", left)
	}
	return strings.TrimSuffix(sb.String(), "\n")
}
