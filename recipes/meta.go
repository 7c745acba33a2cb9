package recipes

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Meta is a meta-package of a variant, complete: with its spec, and what rpm would
// read in that. The same catalogue gives the same everywhere and always.
type Meta struct {
	Name, Version string
	Release       string // with the dist of the variant's defines
	Arch          string // the variant's, or noarch
	Summary       string
	Description   string
	License       string
	Group, URL    string
	Requires      []string // in the variant's cell

	Date           time.Time
	Author, Change string // the changelog's one entry

	Spec string // of all architectures: they share one source package
}

// Meta is the meta-package that a variant of such a recipe is.
func (c *Catalog) Meta(v Variant) Meta {
	r := v.Recipe
	m := Meta{
		Name: r.Name, Version: c.Version, Release: "1" + v.define("dist"), Arch: v.Arch,
		Summary: strings.TrimSpace(r.Summary), Description: strings.TrimSpace(r.Description),
		License: "Apache-2.0", Group: "ohpc/meta-package", URL: strings.TrimSpace(c.URL),
		Requires: v.Requires(), Date: c.Date.UTC(),
	}
	if r.Noarch != "" {
		m.Arch = "noarch"
	}
	if m.Description == "" {
		m.Description = m.Summary
	}
	m.Author = fmt.Sprintf("ohpc-build - %s-1", c.Version)
	m.Change = fmt.Sprintf("- Requirements as in catalogue %s of %s", c.Version, m.Date.Format(time.DateOnly))
	m.Spec = m.spec(c, v)
	return m
}

// define is the value of one of the variant's defines, or "".
func (v Variant) define(name string) string {
	for _, d := range v.Defines {
		if d.Name == name {
			return d.Value
		}
	}
	return ""
}

func (m Meta) spec(c *Catalog, v Variant) string {
	var b strings.Builder
	tag := func(name, value string) { fmt.Fprintf(&b, "%-10s %s\n", name+":", escape(value)) }
	tag("Name", m.Name)
	tag("Version", m.Version)
	b.WriteString("Release:   1%{?dist}\n")
	tag("Summary", m.Summary)
	tag("License", m.License)
	tag("Group", m.Group)
	tag("URL", m.URL)
	if m.Arch == "noarch" {
		tag("BuildArch", "noarch")
	} else {
		// Some distributions fail where there is nothing to debug.
		b.WriteString("%global debug_package %{nil}\n")
	}
	archs := c.architectures(v)
	for _, r := range v.Recipe.Requires {
		where := slices.DeleteFunc(slices.Clone(archs), func(arch string) bool { return !r.Holds(v.Target, arch, v.Picks) })
		if len(where) == 0 {
			continue
		}
		if len(where) < len(archs) {
			fmt.Fprintf(&b, "%%ifarch %s\n", strings.Join(where, " "))
		}
		tag("Requires", Fill(r.Package, v.Picks))
		if len(where) < len(archs) {
			b.WriteString("%endif\n")
		}
	}
	fmt.Fprintf(&b, "\n%%description\n%s\n\n%%files\n", escape(m.Description))
	fmt.Fprintf(&b, "\n%%changelog\n* %s %s\n%s\n", m.Date.Format("Mon Jan 02 2006"), m.Author, m.Change)
	return b.String()
}

// architectures are those of a variant's target.
func (c *Catalog) architectures(v Variant) []string {
	if t, err := c.Target(v.Target); err == nil {
		return t.Architectures
	}
	return []string{v.Arch}
}

// escape keeps rpm from expanding macros in text that is only text.
func escape(text string) string { return strings.ReplaceAll(text, "%", "%%") }
