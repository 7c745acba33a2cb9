package resolve

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ohpc-build/ohpc-build/builder/buildroot"
	"github.com/ohpc-build/ohpc-build/builder/sandbox"
	"github.com/ohpc-build/ohpc-build/internal/store"
	"github.com/ohpc-build/ohpc-build/repo/rpm"
	"github.com/ohpc-build/ohpc-build/repo/rpm/write"
)

const (
	// Format is part of what an answer is remembered by. It grows when the way of
	// asking changes what is answered.
	Format = "1"

	// inside is where the container sees the working folder.
	inside = "/resolve"

	// ownRepository is the name under which managers see our own packages, and
	// marker what the packages begin with that stand for requirements.
	ownRepository = "ohpc-build-own"
	marker        = "ohpc-build-requirement-"

	defaultTimeout = 20 * time.Minute
	defaultLimit   = 8 << 30 // bytes of all files
	maxPids        = 512
	maxOutput      = 1 << 20
)

// Sandbox runs a command in a container.
type Sandbox interface {
	Run(ctx context.Context, spec sandbox.Spec) error
}

// Indexer writes a repository's metadata about the packages in a folder.
type Indexer interface {
	Index(ctx context.Context, dir string, files []string) error
}

// Request says what a build root must hold.
type Request struct {
	Job, Target, Arch string
	Image             buildroot.Image
	Manager           string // dnf or zypper
	Requires          []rpm.Dependency
	Own               []Own
	Timeout           time.Duration // default: 20 minutes
	Limit             int64         // bytes of all files; default: 8 GiB
}

// Own is a package of ours that the root may hold.
type Own struct {
	File   string
	Digest store.Digest
	Job    string // that made it
	Chosen bool   // the root must hold it
}

// Resolver asks package managers. What they download is kept in a store.
type Resolver struct {
	store   *store.Store
	sandbox Sandbox
	index   Indexer
}

// New returns a resolver that keeps packages in st.
func New(st *store.Store, sb Sandbox, index Indexer) *Resolver { return &Resolver{st, sb, index} }

// Managers are the package managers that can be asked.
func Managers() []string { return []string{"dnf", "zypper"} }

// Resolve finds what is missing in an image, brings it into the store, and returns
// the lock. The error is an *UnresolvableError when there is no such set of
// packages, a *RepositoryError when a repository or what came from it is of no use.
func (r *Resolver) Resolve(ctx context.Context, q Request) (*Lock, error) {
	ask, ok := map[string]func(context.Context, *question) (*answer, error){"dnf": askDNF, "zypper": askZypper}[q.Manager]
	if !ok {
		return nil, fmt.Errorf("%q is not a package manager that can be asked for dependencies (%s)", q.Manager, strings.Join(Managers(), ", "))
	}
	dir, err := r.store.Temp("resolve-")
	if err != nil {
		return nil, fmt.Errorf("resolving dependencies: %w", err)
	}
	defer os.RemoveAll(dir)
	qu := &question{Request: q, sandbox: r.sandbox, dir: dir}
	qu.Timeout, qu.Limit = cmp.Or(q.Timeout, defaultTimeout), cmp.Or(q.Limit, defaultLimit)
	if err := r.layOut(ctx, qu); err != nil {
		return nil, fmt.Errorf("resolving dependencies: %w", err)
	}
	a, err := ask(ctx, qu)
	if err == nil {
		err = a.problem(qu)
	}
	if err != nil {
		return nil, err
	}
	return r.lock(ctx, qu, a)
}

// question is a request that is being put.
type question struct {
	Request
	sandbox Sandbox
	dir     string   // the working folder on the host
	install []string // names of the packages that stand for requirements
}

// layOut fills the working folder: our own packages, and one for each requirement.
func (r *Resolver) layOut(ctx context.Context, q *question) error {
	own := filepath.Join(q.dir, "own")
	for _, dir := range []string{own, filepath.Join(q.dir, "packages"), filepath.Join(q.dir, "cache")} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			return err
		}
	}
	var files []string
	var chosen []rpm.Dependency
	for _, p := range q.Own {
		if !fileName(p.File) {
			return fmt.Errorf("%q is not a file name", p.File)
		}
		path := filepath.Join(own, p.File)
		if err := r.store.CopyTo(p.Digest, path); err != nil {
			return fmt.Errorf("%s: %w", p.File, err)
		}
		files = append(files, p.File)
		if p.Chosen {
			header, err := rpm.ReadFile(path)
			if err != nil {
				return err
			}
			chosen = append(chosen, rpm.Dependency{Name: header.Name, Flags: rpm.Equal, Version: header.EVR().String()})
		}
	}
	for i, d := range q.Requires {
		if err := q.require(strconv.Itoa(i), []rpm.Dependency{d}); err != nil {
			return fmt.Errorf("%s: %w", d, err)
		}
	}
	if len(chosen) > 0 {
		if err := q.require("own", chosen); err != nil {
			return err
		}
	}
	for _, name := range q.install {
		files = append(files, name+"-0-1.noarch.rpm")
	}
	slices.Sort(files)
	return r.index.Index(ctx, own, files)
}

// require writes the package that stands for a requirement.
func (q *question) require(name string, requires []rpm.Dependency) error {
	p := write.Package{
		Name: marker + name, Version: "0", Release: "1", Arch: "noarch",
		Summary: "Stands for a requirement", License: "Apache-2.0", Description: "It is never installed.",
		SourceRPM: marker + "0-1.src.rpm", BuildTime: time.Unix(0, 0), BuildHost: "ohpc-build",
	}
	for _, d := range requires {
		// Only which of rpm's scripts it is for could be in the flags beside.
		d.Flags &= rpm.Less | rpm.Equal | rpm.Greater
		p.Requires = append(p.Requires, d)
	}
	var b bytes.Buffer
	if err := write.Write(&b, p); err != nil {
		return err
	}
	q.install = append(q.install, p.Name)
	return os.WriteFile(filepath.Join(q.dir, "own", p.Name+"-0-1.noarch.rpm"), b.Bytes(), 0o644)
}

// run runs a command of a package manager. It has the host's network: nothing else
// of a job ever does.
func (q *question) run(ctx context.Context, args ...string) (string, error) {
	out := &tail{limit: maxOutput}
	err := q.sandbox.Run(ctx, sandbox.Spec{
		Name: "resolve", Layers: q.Image.Layers, Args: args, Env: environment(),
		Mounts:  []sandbox.Mount{{Source: q.dir, Destination: inside}},
		Network: true, Privileges: sandbox.PackageManager,
		Limits: sandbox.Limits{Pids: maxPids, Disk: 2*q.Limit + 4<<30}, Timeout: q.Timeout,
		Stdout: out, Stderr: out,
	})
	return out.String(), err
}

// environment is what package managers need of the host's: how to reach the network.
func environment() []string {
	env := []string{"HOME=/root", "LC_ALL=C.UTF-8", "TZ=UTC"}
	for _, name := range []string{"http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"} {
		if value := os.Getenv(name); value != "" {
			env = append(env, name+"="+value)
		}
	}
	return env
}

// answer is what a package manager says.
type answer struct {
	Repositories []repository `json:"repositories"` // without our own
	Packages     []found      `json:"packages"`
	Kind         string       `json:"kind"` // of what went wrong; empty: nothing
	Message      string       `json:"message"`
}

type repository struct {
	ID  string `json:"id"`
	URL string `json:"url"`
}

// found is one package that it chose.
type found struct {
	Name       string `json:"name"`
	EVR        string `json:"evr"`
	Arch       string `json:"arch"`
	Repository string `json:"repository"`
	Location   string `json:"location"` // of one of ours: its file name
	URL        string `json:"url"`
	File       string `json:"file"`     // in the folder packages
	Checksum   string `json:"checksum"` // algorithm:hexadecimal, as its metadata have it
}

// lock brings what was found into the store.
func (r *Resolver) lock(ctx context.Context, q *question, a *answer) (*Lock, error) {
	l := &Lock{Version: LockVersion, Job: q.Job, Target: q.Target, Arch: q.Arch, Image: q.Image.Digest, Manager: q.Manager, Packages: []Package{}}
	for _, d := range q.Requires {
		l.Requires = append(l.Requires, d.String())
	}
	if len(a.Packages) > maxPackages {
		return nil, fmt.Errorf("resolving dependencies: %s chose %d packages, more than %d", q.Manager, len(a.Packages), maxPackages)
	}
	for _, f := range a.Packages {
		if strings.HasPrefix(f.Name, marker) {
			continue
		}
		p, err := r.take(ctx, q, f)
		if err != nil {
			return nil, &RepositoryError{Job: q.Job, What: "package " + f.Name, Repositories: a.looked(), Err: err}
		}
		l.Packages = append(l.Packages, p)
	}
	l.Sort()
	return l, nil
}

// take brings one package into the store, if it is what its metadata promised.
func (r *Resolver) take(ctx context.Context, q *question, f found) (Package, error) {
	if f.Repository == ownRepository {
		i := slices.IndexFunc(q.Own, func(o Own) bool { return o.File == filepath.Base(f.Location) })
		if i < 0 {
			return Package{}, fmt.Errorf("%s chose %q, which was not offered", q.Manager, f.Location)
		}
		own := q.Own[i]
		return Package{Name: f.Name, EVR: f.EVR, Arch: f.Arch, Kind: KindRPM, File: own.File, Digest: own.Digest, Origin: Origin{Job: own.Job}}, nil
	}
	if !fileName(f.File) {
		return Package{}, fmt.Errorf("%q is not a file name", f.File)
	}
	path := filepath.Join(q.dir, "packages", f.File)
	// The folder was the container's: what is no file there is no package, and
	// a link would lead to one of the host's.
	if fi, err := os.Lstat(path); err != nil || !fi.Mode().IsRegular() {
		return Package{}, fmt.Errorf("%s did not leave the file that it told of", q.Manager)
	}
	if err := verify(ctx, path, f); err != nil {
		return Package{}, err
	}
	digest, _, err := r.store.PutFile(ctx, path)
	if err != nil {
		return Package{}, err
	}
	return Package{
		Name: f.Name, EVR: f.EVR, Arch: f.Arch, Kind: KindRPM, File: f.Name + "-" + withoutEpoch(f.EVR) + "." + f.Arch + ".rpm", Digest: digest,
		Origin: Origin{Repository: f.Repository, URL: f.URL},
	}, nil
}

func withoutEpoch(evr string) string {
	if _, rest, ok := strings.Cut(evr, ":"); ok {
		return rest
	}
	return evr
}

// tail keeps the end of what a manager prints.
type tail struct {
	buf   []byte
	limit int
}

func (t *tail) Write(b []byte) (int, error) {
	t.buf = append(t.buf, b...)
	if over := len(t.buf) - t.limit; over > 0 {
		t.buf = slices.Delete(t.buf, 0, over)
	}
	return len(b), nil
}

func (t *tail) String() string { return string(bytes.TrimSpace(t.buf)) }

// requirement is how a manager's words name a package that stands for one.
var requirement = regexp.MustCompile(marker + `(\d+|own)(-0-1(\.noarch)?)?`)

// failed tells a manager's failure from the sandbox's.
func (q *question) failed(err error, output string) error {
	var exit *sandbox.ExitError
	switch {
	case errors.Is(err, sandbox.ErrTimeout):
		return &RepositoryError{Job: q.Job, What: fmt.Sprintf("%s was ended after %s", q.Manager, q.Timeout), Err: errors.New(cmp.Or(lastLines(output), "it said nothing"))}
	case errors.As(err, &exit):
		return &RepositoryError{Job: q.Job, What: q.Manager + " failed", Err: fmt.Errorf("%w\n%s", err, lastLines(output))}
	}
	return fmt.Errorf("resolving the dependencies of %s: %w", q.Job, err)
}

// lastLines are enough of what a manager printed to understand it.
func lastLines(text string) string {
	const most = 15
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-most):], "\n")
}
