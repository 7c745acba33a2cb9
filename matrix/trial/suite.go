package trial

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/ohpc-build/ohpc-build/internal/store"
	"github.com/ohpc-build/ohpc-build/matrix/report"
	"github.com/ohpc-build/ohpc-build/validate"
	"github.com/ohpc-build/ohpc-build/validate/client"
	"github.com/ohpc-build/ohpc-build/validate/suite"
	"github.com/ohpc-build/ohpc-build/validate/suite/batscore"
)

// suiteCheck is the check's name in a target.
const suiteCheck = suite.CheckName

// suiteRoots are the systems that tests run in: in each, one set of packages was
// installed in a fresh container, and nothing else.
type suiteRoots struct {
	mu   sync.Mutex
	sets map[string]*suiteRoot
	bats func(context.Context) (string, error) // the folder with BATS
}

// suiteRoot are a system's folders, the uppermost first.
type suiteRoot = shared[[]string]

func (t *Trial) newSuiteRoots() *suiteRoots {
	return &suiteRoots{sets: map[string]*suiteRoot{}, bats: once(func(context.Context) (string, error) {
		dir := filepath.Join(t.dir, "bats")
		return dir, batscore.Write(dir)
	})}
}

// trySuite runs a test where its packages, and what they require, are installed.
func (t *Trial) trySuite(ctx context.Context, k check) (validate.Check, error) {
	if k.test.Skip != "" {
		return validate.Check{Outcome: validate.Skip, Reason: k.test.Skip}, nil
	}
	packages := packagesOf(k.test)
	base, broken := t.suiteBase(ctx, packages)
	if err := context.Cause(ctx); err != nil {
		return validate.Check{}, err
	}
	if broken != nil {
		return notInstalled(broken)
	}
	bats, err := t.suites.bats(ctx)
	if err != nil {
		return validate.Check{}, err
	}
	dir, err := os.MkdirTemp(t.dir, "suite-")
	if err != nil {
		return validate.Check{}, err
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil {
		return validate.Check{}, err
	}
	for _, f := range k.test.Files {
		if err := os.WriteFile(filepath.Join(dir, f.Name), f.Data, 0o644); err != nil {
			return validate.Check{}, err
		}
	}
	return suite.Run(ctx, t.container(), suite.Suite{
		Subject: k.subject, Dir: dir, Script: k.test.Script, BATS: bats,
		Env: k.test.Env, Base: base, Limit: k.test.Limit, Quarantine: k.test.Quarantine,
	}), nil
}

// suiteBase is the system for tests that want these packages.
func (t *Trial) suiteBase(ctx context.Context, packages []string) ([]string, error) {
	return t.suites.root(packages).get(ctx, func(ctx context.Context) ([]string, error) { return t.installFor(ctx, packages) })
}

// notInstalled is a test that could not begin. What is the infrastructure's fault is
// none of the packages'.
func notInstalled(err error) (validate.Check, error) {
	if errors.As(err, new(*FaultError)) {
		return validate.Check{}, err
	}
	return validate.Check{Outcome: validate.Fail, Reason: "what it needs could not be installed: " + err.Error()}, nil
}

func packagesOf(test *Test) []string {
	packages := slices.Sorted(slices.Values(test.Packages))
	return slices.Compact(packages)
}

func (s *suiteRoots) root(packages []string) *suiteRoot {
	s.mu.Lock()
	defer s.mu.Unlock()
	name := strings.Join(packages, " ")
	if s.sets[name] == nil {
		s.sets[name] = &suiteRoot{}
	}
	return s.sets[name]
}

// installFor makes the system for tests that want these packages.
func (t *Trial) installFor(ctx context.Context, packages []string) ([]string, error) {
	p, err := t.prepare(ctx, t.cell.Managers[0])
	if err != nil {
		return nil, err
	}
	at, err := t.rootFolder("tested-")
	if err != nil {
		return nil, err
	}
	result := validate.Run(ctx, suiteCheck, "what is tested", func(log io.Writer) error {
		// Scripts that fail are a matter of the check of installations.
		_, _, err := p.client.Install(ctx, client.Place{Base: p.base(), Changes: at}, packages, log)
		return err
	})
	if result.Outcome != validate.Pass {
		return nil, fmt.Errorf("%s", result.Reason)
	}
	return append([]string{at}, p.base()...), nil
}

// suiteName names a test by its files and by all packages that may have a part in
// it, so that it need not run again when another package of the snapshot changes.
func (t *Trial) suiteName(ctx context.Context, k check) (string, error) {
	all, err := t.tested(ctx)
	if err != nil {
		return "", err
	}
	bats, err := batscore.Digest()
	if err != nil {
		return "", err
	}
	packages := packagesOf(k.test)
	parts := []string{format, "closer", k.name, k.subject, t.cell.String(), string(t.cell.Image.Digest), string(store.Of(t.cell.PublicKey)), bats}
	if t.cell.Base != nil {
		parts = append(parts, "on "+t.cell.Base.ID)
	}
	parts = append(append(parts, testInputs(k.test)...), "of")
	for _, h := range reach(all, packages) {
		parts = append(parts, h.header.NEVRA()+" "+h.digest)
	}
	return strings.Join(parts, "\n"), nil
}

// testInputs are all that makes a test what it is, but for the packages' bytes.
func testInputs(test *Test) []string {
	parts := slices.Concat(packagesOf(test), test.Env, []string{test.Script})
	for _, f := range test.Files {
		parts = append(parts, f.Name+" "+string(f.Digest))
	}
	for _, q := range test.Quarantine {
		parts = append(parts, fmt.Sprintf("%q", q))
	}
	return parts
}

// casesOf are a check's cases as the report has them.
func casesOf(cases []validate.Case) []report.Case {
	var rows []report.Case
	for _, c := range cases {
		rows = append(rows, report.Case{
			Name: c.Name, Result: report.Outcome(c.Outcome), Reason: c.Reason,
			Seconds: report.Seconds(c.Duration), Ran: report.Outcome(c.Ran),
		})
	}
	return rows
}
