package recipes

import (
	"fmt"
	"strings"
	"time"
)

// MetaSpec is the spec of a meta-package. The same catalogue gives the same text
// everywhere and always.
func (c *Catalog) MetaSpec(v Variant) string {
	r := v.Recipe
	description := r.Description
	if description == "" {
		description = r.Summary
	}
	var b strings.Builder
	tag := func(name, value string) { fmt.Fprintf(&b, "%-10s %s\n", name+":", escape(strings.TrimSpace(value))) }
	tag("Name", r.Name)
	tag("Version", c.Version)
	b.WriteString("Release:   1%{?dist}\n")
	tag("Summary", r.Summary)
	tag("License", "Apache-2.0")
	tag("Group", "ohpc/meta-package")
	tag("URL", c.URL)
	if r.Noarch != "" {
		tag("BuildArch", "noarch")
	} else {
		// Some distributions fail where there is nothing to debug.
		b.WriteString("%global debug_package %{nil}\n")
	}
	for _, requirement := range v.Requires() {
		tag("Requires", requirement)
	}
	fmt.Fprintf(&b, "\n%%description\n%s\n", escape(strings.TrimSpace(description)))
	b.WriteString("\n%files\n")
	fmt.Fprintf(&b, "\n%%changelog\n* %s ohpc-build - %s-1\n- Requirements as in catalogue %s of %s\n",
		c.Date.UTC().Format("Mon Jan 02 2006"), c.Version, c.Version, c.Date.UTC().Format(time.DateOnly))
	return b.String()
}

// escape keeps rpm from expanding macros in text that is only text.
func escape(text string) string { return strings.ReplaceAll(text, "%", "%%") }
