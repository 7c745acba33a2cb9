// Package write writes a run's report in all its forms into a folder.
package write

import (
	"bufio"
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
		if previous, err := report.CompareWith(dir, r); err == nil {
			r.Previous = previous
		}
	}
	logs, err := excerpt.Failed(r, dir)
	if err != nil {
		return err
	}
	var errs []error
	for _, form := range []struct {
		name  string
		write func(io.Writer) error
	}{
		// The other forms can be made again from matrix.json, so it comes first and
		// does not depend on them.
		{report.Name, r.WriteJSON},
		{"index.html", func(w io.Writer) error { return page.Write(w, r, logs) }},
		{"junit.xml", func(w io.Writer) error { return junit.Write(w, r, logs) }},
		{"trace.json", func(w io.Writer) error { return trace.Write(w, r) }},
	} {
		errs = append(errs, replace(filepath.Join(dir, form.name), form.write))
	}
	return errors.Join(errs...)
}

// replace makes path hold what is written; a reader sees the old file or the new one.
func replace(path string, write func(io.Writer) error) error {
	tmp := path + ".new"
	if err := writeFile(tmp, write); err != nil {
		os.Remove(tmp)
		return fmt.Errorf("writing the report: %w", err)
	}
	if err := os.Rename(tmp, path); err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	return nil
}

func writeFile(path string, write func(io.Writer) error) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	b := bufio.NewWriter(f)
	if err := write(b); err != nil {
		return err
	}
	if err := b.Flush(); err != nil {
		return err
	}
	return f.Close()
}
