// Package write writes a run's report in all its forms into a folder.
package write

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/ohpc-build/ohpc-build/matrix/report"
	"github.com/ohpc-build/ohpc-build/matrix/report/excerpt"
	"github.com/ohpc-build/ohpc-build/matrix/report/junit"
	"github.com/ohpc-build/ohpc-build/matrix/report/page"
	"github.com/ohpc-build/ohpc-build/matrix/report/trace"
)

// Folder writes matrix.json, index.html, junit.xml and trace.json into dir, each by
// rename. What changed since the run whose report stands there is noted in the
// new one, unless the run knows it already.
func Folder(dir string, r *report.Run) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	if r.Previous == nil {
		// A report that cannot be read is replaced by one that can.
		if before, err := report.Read(dir); err == nil {
			r.Previous = report.Compare(before, r)
		}
	}
	logs, err := excerpt.Failed(r, dir)
	if err != nil {
		return err
	}
	doc, err := r.JSON()
	if err != nil {
		return err
	}
	// The other forms can be made again from matrix.json, so it comes first and
	// does not depend on them.
	errs := []error{replace(filepath.Join(dir, report.Name), doc)}
	for _, form := range []struct {
		name  string
		write func(io.Writer) error
	}{
		{"index.html", func(w io.Writer) error { return page.Write(w, r, logs) }},
		{"junit.xml", func(w io.Writer) error { return junit.Write(w, r, logs) }},
		{"trace.json", func(w io.Writer) error { return trace.Write(w, r) }},
	} {
		var b bytes.Buffer
		err := form.write(&b)
		if err == nil {
			err = replace(filepath.Join(dir, form.name), b.Bytes())
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// replace makes path hold b; a reader sees the old file or the new one.
func replace(path string, b []byte) error {
	tmp := path + ".new"
	if err := os.WriteFile(tmp, b, 0o644); err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	if err := os.Rename(tmp, path); err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	return nil
}
