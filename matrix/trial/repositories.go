package trial

import (
	"context"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"

	"github.com/ohpc-build/ohpc-build/repo/layout"
	"github.com/ohpc-build/ohpc-build/validate"
	"github.com/ohpc-build/ohpc-build/validate/client"
)

// Which repositories a client is told of: those that there will be, or those that
// there were.
const (
	reposNew = "new"
	reposOld = "old"
)

// Where containers find the repositories. The snapshot is where the one before it was:
// to its users it is the same repository.
const (
	snapshotInside = "/srv/under-test"
	baseInside     = "/srv/base"
)

// describeRepositories writes the definitions that clients are given, but for the
// address: the snapshot is not published yet.
func (t *Trial) describeRepositories() error {
	if err := os.MkdirAll(t.dir, 0o755); err != nil {
		return err
	}
	t.publicKey = filepath.Join(t.dir, "key.asc")
	if err := os.WriteFile(t.publicKey, t.cell.PublicKey, 0o644); err != nil {
		return err
	}
	snapshot := place{tree: Tree{Dir: t.cell.Snapshot.Dir, PublicKey: t.cell.PublicKey}, id: "under-test", inside: snapshotInside}
	if !t.cell.Fresh { // its users find the key beside the packages
		snapshot.key = "file://" + path.Join(snapshotInside, layout.KeyFile(t.cell.Snapshot.Release))
	}
	after := []place{snapshot}
	var before []place
	if t.cell.Before != nil {
		before = append(before, place{tree: *t.cell.Before, id: "under-test", inside: snapshotInside})
	}
	if t.cell.Base != nil {
		base := place{tree: *t.cell.Base, id: "base", inside: baseInside}
		after, before = append(after, base), append(before, base)
	}
	t.repositories = map[string]client.Repositories{}
	for what, places := range map[string][]place{reposNew: after, reposOld: before} {
		repos, err := t.define(what, places)
		if err != nil {
			return err
		}
		t.repositories[what] = repos
	}
	return nil
}

// place is a tree and how clients are told of it.
type place struct {
	tree       Tree
	id, inside string
	key        string // URL of its key; "": where the client is given it
}

func (t *Trial) define(what string, places []place) (client.Repositories, error) {
	repos := client.Repositories{RepoFile: filepath.Join(t.dir, what+".repo")}
	var sections []layout.Repo
	for i, p := range places {
		key := filepath.Join(t.dir, fmt.Sprintf("%s-%d.asc", what, i))
		if err := os.WriteFile(key, p.tree.PublicKey, 0o644); err != nil {
			return repos, err
		}
		repos.Keys = append(repos.Keys, key)
		repos.Trees = append(repos.Trees, validate.Mount{Source: p.tree.Dir, Destination: p.inside})
		if p.key == "" {
			p.key = client.KeyInside(i)
		}
		sections = append(sections, layout.Repo{ID: p.id, Name: "The repository " + p.id, BaseURL: "file://" + p.inside, GPGKey: p.key})
	}
	file, err := layout.RepoFile(sections...)
	if err != nil {
		return repos, err
	}
	return repos, os.WriteFile(repos.RepoFile, file, 0o644)
}

func (t *Trial) client(manager, repositories string) *client.Client {
	return &client.Client{
		Container: t.container(), Manager: manager, Repositories: t.repositories[repositories], Timeout: t.cell.Timeout,
	}
}

// prepared is a system in which a package manager knows the repositories: every
// installation begins with it. Fetching metadata takes an emulated dnf longer than
// most installations.
type prepared struct {
	client *client.Client
	dir    string // what preparing changed
	system []client.Installed
}

// base are the layers above the image's.
func (p *prepared) base() []string { return []string{p.dir} }

// PreparationError says that a package manager does not accept the repositories.
type PreparationError struct{ Manager, Reason string }

func (e *PreparationError) Error() string {
	return fmt.Sprintf("%s does not accept the repository: %s", e.Manager, e.Reason)
}

func (t *Trial) prepare(ctx context.Context, manager string) (*prepared, error) {
	p, ok := t.prepared[manager]
	if !ok {
		return nil, &client.ManagerError{Name: manager}
	}
	return p.get(ctx, func(ctx context.Context) (*prepared, error) { return t.prepareAnew(ctx, manager) })
}

func (t *Trial) prepareAnew(ctx context.Context, manager string) (*prepared, error) {
	p := &prepared{client: t.client(manager, reposNew)}
	var err error
	if p.dir, err = t.rootFolder("prepared-" + manager + "-"); err != nil {
		return nil, err
	}
	result := validate.Run(ctx, "prepare", manager, func(log io.Writer) (err error) {
		p.system, err = p.client.Prepare(ctx, client.Place{Changes: p.dir}, log)
		return err
	})
	if result.Outcome != validate.Pass {
		return nil, &PreparationError{manager, result.Reason}
	}
	return p, nil
}

// rootFolder makes an empty folder that receives the changes to a root.
func (t *Trial) rootFolder(name string) (string, error) {
	dir, err := os.MkdirTemp(t.dir, name)
	if err != nil {
		return "", err
	}
	return dir, os.Chmod(dir, 0o755) // it is the root folder
}
