// Package markdown writes a run as a comment for a pull request: short, and of a
// bounded size.
package markdown

import (
	"fmt"
	"html"
	"io"
	"slices"
	"strings"

	"github.com/ohpc-build/ohpc-build/matrix/report"
	"github.com/ohpc-build/ohpc-build/matrix/report/excerpt"
	"github.com/ohpc-build/ohpc-build/matrix/report/plain"
)

// Limit is how many bytes are written at most: GitHub takes 65,536 characters.
const Limit = 60_000

// Bounds of the parts.
const (
	reserve    = 6_000 // bytes that are left for what comes after the failures
	logLines   = 15
	lineLength = 300
	listed     = 20
)

// Write writes the run as Markdown, as GitHub and GitLab read it.
func Write(w io.Writer, r *report.Run, logs map[string]*excerpt.Excerpt) error {
	b := &comment{}
	b.head(r)
	b.cells(r)
	b.failures(r, logs)
	b.quarantined(r)
	b.changes(r.Previous)
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("writing Markdown: %w", err)
	}
	return nil
}

type comment struct{ strings.Builder }

// block adds a part if it fits with so many bytes to spare.
func (b *comment) block(s string, spare int) bool {
	if b.Len()+len(s)+spare > Limit {
		return false
	}
	b.WriteString(s)
	return true
}

func (b *comment) head(r *report.Run) {
	word := "passed"
	if r.Result == report.Fail {
		word = "failed"
	}
	fmt.Fprintf(b, "### ohpc-build: %s\n\n%s\n", word, r.Summary())
	if r.Error != "" {
		b.WriteString("\nThe run ended early:\n\n" + fence(clip(plain.Text(r.Error), 2000)))
	}
}

func (b *comment) cells(r *report.Run) {
	if len(r.Cells) == 0 {
		return
	}
	b.WriteString("\n| cell | status | built | reused | failed | skipped | checks |\n| --- | --- | ---: | ---: | ---: | ---: | --- |\n")
	for _, c := range r.Cells {
		count := map[report.Outcome]int{}
		for _, j := range r.Jobs {
			if j.Target == c.Target && j.Arch == c.Arch {
				count[j.Result]++
			}
		}
		checks := map[report.Outcome]int{}
		for _, k := range r.Checks {
			if k.Target == c.Target && k.Arch == c.Arch {
				checks[k.Result]++
			}
		}
		row := fmt.Sprintf("| %s | %s | %d | %d | %d | %d | %d passed, %d failed, %d skipped |\n", cellCode(c.Target+"/"+c.Arch), cellText(string(c.Status)),
			count[report.Built], count[report.Reused]+count[report.Shared], count[report.Fail], count[report.Skip],
			checks[report.Pass], checks[report.Fail], checks[report.Skip])
		if !b.block(row, 2*reserve) {
			b.WriteString("\nThere are more cells.\n")
			return
		}
	}
}

func (b *comment) failures(r *report.Run, logs map[string]*excerpt.Excerpt) {
	type failure struct {
		id, reason, log string
		anew            bool // it did not fail in the last run
	}
	var all []failure
	var anew []string
	if r.Previous != nil {
		anew = slices.Concat(r.Previous.Failing, r.Previous.FailingChecks)
	}
	for _, j := range r.Jobs {
		if j.Result == report.Fail {
			all = append(all, failure{j.ID, strings.TrimPrefix(j.Reason, j.ID+": "), j.Log, slices.Contains(anew, j.ID)})
		}
	}
	for _, c := range r.Checks {
		if c.Result == report.Fail {
			all = append(all, failure{c.ID(), c.Reason, c.Log, slices.Contains(anew, c.ID())})
		}
	}
	if len(all) == 0 {
		return
	}
	// What a change broke comes before what was broken anyway.
	slices.SortStableFunc(all, func(x, y failure) int {
		switch {
		case x.anew == y.anew:
			return 0
		case x.anew:
			return -1
		}
		return 1
	})
	fmt.Fprintf(b, "\n#### Failures (%d)\n\n", len(all))
	for i, f := range all {
		lines := []string{clip(plain.Text(f.reason), 1000)}
		if log := logs[f.log]; log != nil {
			lines = append(lines, "")
			for _, line := range log.Around(logLines) {
				lines = append(lines, clip(line, lineLength))
			}
		}
		// HTML begins here: in a summary, Markdown's code does not hold.
		mark := ""
		if f.anew {
			mark = "new: "
		}
		text := fmt.Sprintf("<details><summary>%s%s%s</summary>\n\n%s\n</details>\n", mark, htmlCode(clip(plain.Line(f.id), 200)), inShort(f.reason, logs[f.log]), fence(strings.Join(lines, "\n")))
		if !b.block(text, reserve) {
			fmt.Fprintf(b, "\nand %d more, which the report has.\n", len(all)-i)
			return
		}
	}
}

// inShort is the line that tells a failure, to be read without opening it: the log's, or
// the first of the reason.
func inShort(reason string, log *excerpt.Excerpt) string {
	line, _, _ := strings.Cut(strings.TrimSpace(plain.Text(reason)), "\n")
	if log != nil && log.Failure > 0 {
		line = strings.Split(log.Text, "\n")[log.Failure-1]
	}
	if line = clip(plain.Line(line), 120); line == "" {
		return ""
	}
	return " " + htmlCode(line)
}

// htmlCode is s where HTML has begun: nobody is mentioned in code, and nothing in it is
// markup.
func htmlCode(s string) string { return "<code>" + html.EscapeString(s) + "</code>" }

// quarantined lists tests that do not count, with what is to become of them.
func (b *comment) quarantined(r *report.Run) {
	var lines []string
	for _, c := range r.Checks {
		for _, k := range c.Cases {
			if k.Ran == "" {
				continue
			}
			first, _, _ := strings.Cut(plain.Text(k.Reason), "\n")
			lines = append(lines, fmt.Sprintf("- %s %s: %s\n", code(clip(c.ID(), 120)), code(clip(k.Name, 120)), code(clip(first, 200))))
		}
	}
	if len(lines) == 0 {
		return
	}
	more := ""
	if n := len(lines) - listed; n > 0 {
		more = fmt.Sprintf("- and %d more\n", n)
	}
	b.block(fmt.Sprintf("\n<details><summary>%d in quarantine</summary>\n\n%s%s\n</details>\n", len(lines), strings.Join(lines[:min(listed, len(lines))], ""), more), 2000)
}

func (b *comment) changes(p *report.Previous) {
	if p == nil || p.Empty() {
		return
	}
	b.block("\n#### Since the last run\n\n", 500)
	for _, part := range []struct {
		title string
		ids   []string
	}{
		{"failing now", slices.Concat(p.Failing, p.FailingChecks)},
		{"mended", slices.Concat(p.Mended, p.MendedChecks)},
		{"new", p.Added},
		{"gone", p.Gone},
		{"packages", packages(p.Packages)},
	} {
		if len(part.ids) == 0 {
			continue
		}
		var words []string
		for _, id := range part.ids[:min(listed, len(part.ids))] {
			words = append(words, code(clip(id, 120)))
		}
		more := ""
		if n := len(part.ids) - listed; n > 0 {
			more = fmt.Sprintf(" and %d more", n)
		}
		line := fmt.Sprintf("- %s (%d): %s%s\n", part.title, len(part.ids), strings.Join(words, ", "), more)
		if !b.block(line, 200) {
			b.block(fmt.Sprintf("- %s (%d)\n", part.title, len(part.ids)), 0)
		}
	}
}

func packages(changes []report.PackageChange) []string {
	var all []string
	for _, c := range changes {
		text := fmt.Sprintf("%s %s → %s", c.Name, c.From, c.To)
		if c.Down {
			text += " (downgrade)"
		}
		// The same change in each cell is one.
		if !slices.Contains(all, text) {
			all = append(all, text)
		}
	}
	return all
}

// code is s as a code span: nothing in it is markup, and nobody is mentioned.
func code(s string) string {
	s = plain.Line(s)
	tick := "`"
	for strings.Contains(s, tick) {
		tick += "`"
	}
	if strings.HasPrefix(s, "`") || strings.HasSuffix(s, "`") || s == "" {
		s = " " + s + " "
	}
	return tick + s + tick
}

// cellCode is code in a table, where a bar ends the cell even in code.
func cellCode(s string) string { return strings.ReplaceAll(code(s), "|", `\|`) }

// cellText is a word in a table that is not code.
func cellText(s string) string {
	if s == string(report.Supported) || s == string(report.TechPreview) {
		return s
	}
	return cellCode(s) // a file from elsewhere may say anything
}

// fence is s as a block of code, whatever it holds.
func fence(s string) string {
	tick := "```"
	for strings.Contains(s, tick) {
		tick += "`"
	}
	return tick + "text\n" + s + "\n" + tick + "\n"
}

func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + " …"
}
