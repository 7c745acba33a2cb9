package report

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// Name is the document's name in the report's folder.
const Name = "matrix.json"

// maximumSize bounds what is read as a report: one of 100,000 jobs has 100 MiB.
const maximumSize = 1 << 30

// VersionError says that a report was written by another version of the program.
type VersionError struct {
	Path    string
	Version int
}

func (e *VersionError) Error() string {
	if e.Version > Version {
		return fmt.Sprintf("%s has version %d of the report's format, and this program knows up to %d: read it with the ohpc-build that wrote it, or a newer one", e.Path, e.Version, Version)
	}
	return fmt.Sprintf("%s has no version of the report's format that this program knows (%d, not %d): is it a report of ohpc-build?", e.Path, e.Version, Version)
}

// Read reads the matrix.json in a report's folder. The error is an [os.ErrNotExist]
// when there is none, and a *[VersionError] when it is of another version.
func Read(dir string) (*Run, error) {
	path := filepath.Join(dir, Name)
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("reading the report: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maximumSize+1))
	if err != nil {
		return nil, fmt.Errorf("reading the report: %w", err)
	}
	if len(b) > maximumSize {
		return nil, fmt.Errorf("reading the report: %s is larger than %d bytes", path, maximumSize)
	}
	// What has another version need not fit the types.
	var head struct {
		Version int `json:"version"`
	}
	if err := json.Unmarshal(b, &head); err != nil {
		return nil, fmt.Errorf("reading the report %s: %w", path, err)
	}
	if head.Version != Version {
		return nil, &VersionError{Path: path, Version: head.Version}
	}
	r := &Run{}
	if err := json.Unmarshal(b, r); err != nil {
		return nil, fmt.Errorf("reading the report %s: %w", path, err)
	}
	return r, nil
}

// CompareWith tells what changed since the run whose matrix.json is in a report's
// folder, which is read job by job.
func CompareWith(dir string, now *Run) (*Previous, error) {
	path := filepath.Join(dir, Name)
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("reading the report: %w", err)
	}
	defer f.Close()
	c := newComparison(now)
	before, err := c.read(json.NewDecoder(io.LimitReader(f, maximumSize)))
	if err != nil {
		return nil, fmt.Errorf("reading the report %s: %w", path, err)
	}
	if before.Version != Version {
		return nil, &VersionError{Path: path, Version: before.Version}
	}
	return c.end(before), nil
}

// read takes in the jobs of an earlier run and returns the rest of it.
func (c *comparison) read(dec *json.Decoder) (*Run, error) {
	r := &Run{}
	fields := map[string]any{
		"version": &r.Version, "recipes": &r.Recipes, "result": &r.Result, "error": &r.Error,
		"started": &r.Started, "seconds": &r.Seconds, "checks": &r.Checks,
	}
	if err := delimiter(dec, '{'); err != nil {
		return nil, err
	}
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return nil, err
		}
		if name == "jobs" {
			if err := c.readJobs(dec); err != nil {
				return nil, err
			}
			continue
		}
		into, wanted := fields[fmt.Sprint(name)]
		if !wanted {
			into = &json.RawMessage{}
		}
		if err := dec.Decode(into); err != nil {
			return nil, err
		}
	}
	return r, delimiter(dec, '}')
}

func (c *comparison) readJobs(dec *json.Decoder) error {
	if err := delimiter(dec, '['); err != nil {
		return err
	}
	for dec.More() {
		var j struct {
			ID       string  `json:"id"`
			Result   Outcome `json:"result"`
			Packages []struct {
				File string `json:"file"`
			} `json:"packages"`
		}
		if err := dec.Decode(&j); err != nil {
			return err
		}
		was := Job{ID: j.ID, Result: j.Result}
		for _, p := range j.Packages {
			was.Packages = append(was.Packages, Package{File: p.File})
		}
		c.job(&was)
	}
	return delimiter(dec, ']')
}

func delimiter(dec *json.Decoder, want json.Delim) error {
	token, err := dec.Token()
	if err == nil && token != want {
		err = fmt.Errorf("it has %v where %v should be", token, want)
	}
	return err
}
