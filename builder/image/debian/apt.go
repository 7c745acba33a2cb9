package debian

import (
	"context"
	"fmt"
	"net/url"
	"os/exec"
	"slices"
	"strings"
	"time"
)

// aptTimeout bounds a question to apt about its configuration.
const aptTimeout = time.Minute

// apt is what this host's apt is configured with.
type apt struct {
	sources []source
	proxies []string // options, as apt.conf has them
}

// source is one repository of the host's.
type source struct{ suite, component, uri string }

// readApt asks this host's apt. A host without apt has none of it.
func readApt(ctx context.Context) (*apt, error) {
	if _, err := exec.LookPath("apt-get"); err != nil {
		return &apt{}, nil //nolint:nilerr // mmdebstrap's own default serves
	}
	ctx, cancel := context.WithTimeout(ctx, aptTimeout)
	defer cancel()
	targets, err := exec.CommandContext(ctx, "apt-get", "indextargets", "--format", "$(RELEASE)\t$(COMPONENT)\t$(REPO_URI)", "Created-By: Packages").Output()
	if err != nil {
		return nil, fmt.Errorf("asking apt for this host's mirror: %w", err)
	}
	dump, err := exec.CommandContext(ctx, "apt-config", "dump", "Acquire").Output()
	if err != nil {
		return nil, fmt.Errorf("asking apt for this host's proxy: %w", err)
	}
	return &apt{sources: parseTargets(string(targets)), proxies: parseProxies(string(dump))}, nil
}

func parseTargets(text string) []source {
	var sources []source
	for line := range strings.Lines(text) {
		fields := strings.Split(strings.TrimSpace(line), "\t")
		if len(fields) != 3 {
			continue
		}
		s := source{suite: fields[0], component: fields[1], uri: fields[2]}
		if !slices.Contains(sources, s) { // one line per architecture otherwise
			sources = append(sources, s)
		}
	}
	return sources
}

// parseProxies keeps what apt-config dump says about proxies, which mmdebstrap's
// apt does not see by itself.
func parseProxies(text string) []string {
	var options []string
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(strings.TrimSpace(line), ";")
		name, value, ok := strings.Cut(line, " ")
		if !ok || value == `""` {
			continue
		}
		if strings.HasPrefix(name, "Acquire::http::Proxy") || strings.HasPrefix(name, "Acquire::https::Proxy") {
			options = append(options, line)
		}
	}
	return options
}

// mirrors returns sources.list lines for a suite, its updates and its security
// updates as far as this host has them; none when it lacks the suite itself, and
// mmdebstrap's own default then has all three.
func (a *apt) mirrors(suite string, components []string) []string {
	var lines []string
	found := false
	for _, name := range []string{suite, suite + "-updates", suite + "-security"} {
		for _, s := range a.sources {
			u, err := url.Parse(s.uri)
			if s.suite != name || !slices.Contains(components, s.component) || err != nil || (u.Scheme != "http" && u.Scheme != "https") {
				continue
			}
			found = found || name == suite
			line := fmt.Sprintf("deb [signed-by=%s] %s %s %s", Keyring, s.uri, s.suite, s.component)
			if !slices.Contains(lines, line) {
				lines = append(lines, line)
			}
		}
	}
	if !found {
		return nil
	}
	return lines
}
