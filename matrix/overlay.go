package matrix

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ohpc-build/ohpc-build/matrix/plan"
	"github.com/ohpc-build/ohpc-build/matrix/repodata"
	"github.com/ohpc-build/ohpc-build/matrix/trial"
	"github.com/ohpc-build/ohpc-build/repo/rpmmd"
	"github.com/ohpc-build/ohpc-build/repo/sign"
	"github.com/ohpc-build/ohpc-build/repo/snapshot"
)

// Overlay makes of a run one that rebuilds some packages of a repository that is there
// already: the snapshot holds these, and what its channel has of others, and is tried
// together with it.
type Overlay struct {
	On        string // folder or URL of the complete repository
	PublicKey []byte // armored; what it is signed with. Default: the run's own key
}

// checkOverlay refuses what cannot be one.
func checkOverlay(opt Options, targets int) error {
	switch {
	case opt.Overlay.On == "":
		return nil
	case len(opt.Recipes) == 0:
		return errors.New("an overlay holds some recipes' packages only: name the recipes")
	case targets > 1:
		return fmt.Errorf("an overlay is on the repository of one target, and the run is for %d: name one with --target", targets)
	}
	return nil
}

// openBase gets the repository that the run is an overlay on, before anything is built.
func (m *Matrix) openBase(ctx context.Context) error {
	if m.opt.Overlay.On == "" {
		return nil
	}
	stage := m.opt.Progress.Stage("base", 1)
	defer stage.Close()
	stage.Begin(m.opt.Overlay.On)
	key := m.opt.Overlay.PublicKey
	if len(key) == 0 {
		key = m.key.PublicKey()
	}
	tree, err := m.tree(ctx, m.opt.Overlay.On, key, "base")
	if err != nil {
		stage.End(m.opt.Overlay.On, "failed: "+err.Error())
		return err
	}
	m.base = tree
	stage.End(tree.Name, "its metadata are signed with the key that is trusted")
	return nil
}

// tree is a repository on this host whose metadata are verified: a folder where it is, a
// URL's with all packages for the run's cells in the store. The error is a *UsageError
// when it is not what its key's owner signed.
func (m *Matrix) tree(ctx context.Context, location string, key []byte, name string) (*trial.Tree, error) {
	repository, err := repodata.Open(ctx, location)
	if err != nil {
		return nil, &UsageError{err}
	}
	dir := filepath.Join(m.scratch, "repositories", name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	if dir, err = repository.Mirror(ctx, dir, m.store, m.forCells); err != nil {
		return nil, &UsageError{err}
	}
	repomd, err := os.ReadFile(filepath.Join(dir, rpmmd.RepomdFile))
	if err != nil {
		return nil, &UsageError{err}
	}
	err = signedBy(dir, repomd, key)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &UsageError{fmt.Errorf("%s: its metadata are not signed, there is no %s.asc: sign them, as ohpc-build repo create does", repository, rpmmd.RepomdFile)}
	}
	if err != nil {
		return nil, &UsageError{fmt.Errorf("%s: %w; name the public key that it is signed with", repository, err)}
	}
	return &trial.Tree{Name: repository.String(), Dir: dir, ID: snapshot.Digest(repomd), PublicKey: key}, nil
}

// forCells says whether users of one of the run's cells install a package.
func (m *Matrix) forCells(rec rpmmd.Record) bool {
	if rec.Arch == noarch {
		return true
	}
	for _, c := range m.cells {
		if c.Arch == rec.Arch {
			return true
		}
	}
	return false
}

func signedBy(dir string, repomd, key []byte) error {
	trusted, err := sign.ReadKeyring(bytes.NewReader(key))
	if err != nil {
		return err
	}
	signature, err := os.Open(filepath.Join(dir, rpmmd.RepomdFile+".asc"))
	if err != nil {
		return fmt.Errorf("its metadata are not signed: %w", err)
	}
	defer signature.Close()
	return trusted.VerifyDetached(bytes.NewReader(repomd), signature)
}

// inSnapshot says whether a job's packages go into the snapshot: all, or in an overlay
// those of the recipes that were asked for.
func (m *Matrix) inSnapshot(j *plan.Job) bool {
	return m.base == nil || slices.Contains(m.opt.Recipes, j.Recipe)
}

// notOlder refuses an overlay whose users would not get it.
func (m *Matrix) notOlder(ctx context.Context, trials []*trial.Trial) error {
	var older []string
	for _, t := range trials {
		more, err := t.Older(ctx)
		if err != nil {
			return err
		}
		older = append(older, more...)
	}
	if len(older) == 0 {
		return nil
	}
	slices.Sort(older)
	older = slices.Compact(older)
	return &FailedError{What: fmt.Sprintf(
		"who has the repository would not get what was rebuilt: %s; raise the version or the release (ohpc-build recipe bump), nothing was published",
		strings.Join(older, "; "))}
}
