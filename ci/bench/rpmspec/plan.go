package rpmspec

import (
	"encoding/json"
	"fmt"
)

// Plan is what ohpc-build plan --format json --explain writes, as far as it is
// compared.
type Plan struct {
	Jobs     []Job             `json:"jobs"`
	Skips    []json.RawMessage `json:"skips"`
	Failures []Failure         `json:"failures"`
}

// Job is one job of the plan.
type Job struct {
	ID      string            `json:"id"`
	Recipe  string            `json:"recipe"`
	Variant string            `json:"variant"`
	Target  string            `json:"target"`
	Arch    string            `json:"arch"`
	Shared  []string          `json:"shared"` // other architectures that it makes the packages for
	Spec    string            `json:"spec"`   // path in the tree
	Files   []string          `json:"files"`  // paths in the tree: the spec, and what lies in its _sourcedir
	Defines map[string]string `json:"defines"`
	Macros  map[string]string `json:"macros"` // all that rpmspec was given, those of the target too

	Packages      []Package `json:"packages"`
	BuildRequires []string  `json:"build_requires"`
}

// Package is one that a job makes. Dependencies are written as rpm does.
type Package struct {
	Name     string   `json:"name"`
	EVR      string   `json:"evr"`
	Arch     string   `json:"arch"`
	Requires []string `json:"requires"`
	Provides []string `json:"provides"`
}

// Failure is a spec that could not be read.
type Failure struct {
	ID string `json:"id"`
}

// ParsePlan reads a plan.
func ParsePlan(text []byte) (*Plan, error) {
	var p Plan
	if err := json.Unmarshal(text, &p); err != nil {
		return nil, fmt.Errorf("reading the plan: %w", err)
	}
	return &p, nil
}
