package jobs

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/ohpc-build/ohpc-build/builder"
	"github.com/ohpc-build/ohpc-build/internal/store"
	"github.com/ohpc-build/ohpc-build/matrix/plan"
	"github.com/ohpc-build/ohpc-build/recipes"
)

// recordAddress is where the digest is kept of what an address gave first. An
// OpenHPC tree has no digests: what comes later from there must be the same.
const recordAddress = "addresses"

// recordSpecSources is where the sources of a spec are kept, with their digests, by
// what the spec was evaluated from.
const recordSpecSources = "spec-sources"

// takeAddresses adds to a job of an OpenHPC tree the sources that are fetched from
// the addresses in its spec, or notes that they are missing.
func (s *Set) takeAddresses(c *candidate) error {
	if !c.variant.Recipe.FromSpec {
		return nil
	}
	var known map[string]store.Digest
	if err := s.store.Record(recordSpecSources, s.sourcesKey(c), &known); err != nil {
		known = nil // not fetched yet, or damaged: they will be fetched
	}
	there := map[string]bool{}
	for _, f := range c.build.Sources {
		there[f.Name] = true
	}
	source := c.result.Source
	for _, name := range append(append([]string(nil), source.Sources...), source.Patches...) {
		if there[name] {
			continue
		}
		there[name] = true
		if d, ok := known[name]; ok {
			c.addSource(name, d)
		} else {
			c.missing = append(c.missing, name)
		}
	}
	return nil
}

func (c *candidate) addSource(name string, d store.Digest) {
	c.build.Sources = append(c.build.Sources, builder.File{Name: name, Digest: d})
	c.job.Inputs[plan.PartSource(name)] = string(d)
}

// sourcesKey stands for everything that the addresses in a spec depend on.
func (s *Set) sourcesKey(c *candidate) string {
	parts := plan.Parts{"arch": c.job.Arch}
	for name, value := range c.job.Inputs {
		switch kind, _, _ := strings.Cut(name, " "); kind {
		case "spec", "define":
			parts[name] = value
		}
	}
	for _, f := range c.query.Sources {
		parts[plan.PartSource(f.Name)] = string(f.Digest)
	}
	return string(parts.Key())
}

// fetchMissing fetches what a spec's addresses name. Afterwards the job's inputs are
// complete.
func (s *Set) fetchMissing(ctx context.Context, c *candidate) error {
	if len(c.missing) == 0 {
		return nil
	}
	addresses, err := s.evaluator(c.cell.Reader).Addresses(ctx, c.query)
	if err != nil {
		return err
	}
	digests := map[string]store.Digest{}
	for _, name := range c.missing {
		d, err := s.fetchAddress(ctx, c, name, addresses[name])
		if err != nil {
			return err
		}
		digests[name] = d
	}
	if err := s.store.PutRecord(recordSpecSources, s.sourcesKey(c), digests); err != nil {
		return err
	}
	for _, name := range c.missing {
		c.addSource(name, digests[name])
	}
	c.missing = nil
	return nil
}

// fetchAddress gets one file. The first time its digest is taken as it comes, and
// said; from then on it must stay the same.
func (s *Set) fetchAddress(ctx context.Context, c *candidate, name, address string) (store.Digest, error) {
	// What follows # only renames the file.
	address, _, _ = strings.Cut(address, "#")
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return "", &MissingSourceError{Spec: c.query.Path, File: name, Dir: c.variant.Recipe.Dir}
	}
	f := recipes.Source{File: name, URL: address}
	var before store.Digest
	if err := s.store.Record(recordAddress, address, &before); err == nil {
		f.SHA256 = before.Hex()
	} else if !errors.Is(err, store.ErrNotFound) {
		s.log.Warn("the digest that was noted for a source is of no use", "url", address, "error", err)
	}
	d, err := s.fetcher.Fetch(ctx, f, nil)
	if err != nil {
		return "", fmt.Errorf("%s: %w", c.query.Path, err)
	}
	if before == "" {
		s.log.Warn("nobody vouches for a source: its digest is noted, and must be the same from now on", "url", address, "sha256", d.Hex())
		return d, s.store.PutRecord(recordAddress, address, d)
	}
	return d, nil
}

// MissingSourceError says that a file that a spec names is neither in SOURCES/ nor
// to be had from an address.
type MissingSourceError struct{ Spec, File, Dir string }

func (e *MissingSourceError) Error() string {
	return fmt.Sprintf("%s: source %s is not in %s/SOURCES, and the spec names no http or https address for it; put the file there (a get_source.sh beside it is not run)", e.Spec, e.File, e.Dir)
}
