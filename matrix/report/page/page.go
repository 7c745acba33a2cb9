// Package page writes a run as one self-contained page, which opens from disk as
// well as from a web server and loads nothing from elsewhere.
//
// The page is made of the plain sources beside this file; there is no build step.
// What a run holds goes in as JSON and is shown as text only: names, reasons and
// logs are foreign words.
package page

import (
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/ohpc-build/ohpc-build/matrix/report"
	"github.com/ohpc-build/ohpc-build/matrix/report/excerpt"
)

//go:embed index.html page.css *.js
var sources embed.FS

// scripts are joined in this order into one.
var scripts = []string{"model.js", "dom.js", "grid.js", "log.js", "detail.js", "graph.js", "timeline.js", "history.js", "main.js"}

// document is what the page is given.
type document struct {
	Run      *report.Run                 `json:"run"`
	Omitted  map[report.Outcome]int      `json:"omitted,omitempty"` // jobs that the page does not show
	Timeline []report.Bar                `json:"timeline"`
	Critical []string                    `json:"critical"` // IDs of jobs
	Logs     map[string]*excerpt.Excerpt `json:"logs"`     // of what failed, by path
	Rules    []string                    `json:"rules"`    // regular expressions of lines that tell a failure
}

// maxJobs is how many jobs a page shows as they are. Of more it shows those that had
// something happen to them, and counts the others: a browser needs minutes for them.
const maxJobs = 20_000

// shown is what of a run the page shows.
func shown(r *report.Run) (*report.Run, map[report.Outcome]int) {
	if len(r.Jobs) <= maxJobs {
		return r, nil
	}
	less, omitted := *r, map[report.Outcome]int{}
	less.Jobs = []report.Job{}
	for _, j := range r.Jobs {
		if j.Result == report.Reused || j.Result == report.Shared {
			omitted[j.Result]++
		} else {
			less.Jobs = append(less.Jobs, j)
		}
	}
	less.History = map[string][]report.Sample{}
	for _, j := range less.Jobs {
		if h := r.History[j.ID]; h != nil {
			less.History[j.ID] = h
		}
	}
	return &less, omitted
}

// Write writes the page. logs are the ends of the logs of what failed: a page that
// is opened from disk cannot read other files.
func Write(w io.Writer, r *report.Run, logs map[string]*excerpt.Excerpt) error {
	// encoding/json writes <, > and & as \u003c …, so that no word of a log ends
	// the script element or opens a comment in it.
	run, omitted := shown(r)
	data, err := json.Marshal(document{Run: run, Omitted: omitted, Timeline: r.Timeline(), Critical: r.CriticalPath(), Logs: logs, Rules: excerpt.Rules()})
	if err != nil {
		return fmt.Errorf("writing the page: %w", err)
	}
	frame, err := read("index.html")
	if err != nil {
		return err
	}
	style, err := read("page.css")
	if err != nil {
		return err
	}
	script, err := read(scripts...)
	if err != nil {
		return err
	}
	script = "\"use strict\";\n(() => {\n" + script + "})();\n"
	// Only this very style and this very script count, whatever else comes in.
	policy := fmt.Sprintf("default-src 'none'; script-src '%s'; style-src '%s'; connect-src 'self'; base-uri 'none'; form-action 'none'", hash(script), hash(style))
	// One pass: what is put in is not looked through again.
	page := strings.NewReplacer("{{policy}}", policy, "{{style}}", style, "{{script}}", script, "{{data}}", string(data))
	if _, err := page.WriteString(w, frame); err != nil {
		return fmt.Errorf("writing the page: %w", err)
	}
	return nil
}

func read(names ...string) (string, error) {
	var sb strings.Builder
	for _, name := range names {
		b, err := sources.ReadFile(name)
		if err != nil {
			return "", fmt.Errorf("writing the page: %w", err)
		}
		sb.Write(b)
	}
	return sb.String(), nil
}

func hash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}
