package matrix

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/builder"
	"github.com/ohpc-build/ohpc-build/builder/emulate"
	"github.com/ohpc-build/ohpc-build/internal/store"
	"github.com/ohpc-build/ohpc-build/internal/testenv"
	"github.com/ohpc-build/ohpc-build/matrix/execute"
	"github.com/ohpc-build/ohpc-build/matrix/report"
	"github.com/ohpc-build/ohpc-build/matrix/state"
	"github.com/ohpc-build/ohpc-build/recipes/catalog"
	"github.com/ohpc-build/ohpc-build/recipes/load"
	"github.com/ohpc-build/ohpc-build/repo/rpm"
	"github.com/ohpc-build/ohpc-build/repo/verify"
)

// How often a run is killed, here and in CI; OHPC_BUILD_TEST_KILLS says otherwise.
const (
	kills   = 6
	killsCI = 50
)

// childState tells the test's own program to be a run in that folder.
const childState = "OHPC_BUILD_TEST_CHILD_STATE"

// TestChildRun is no test: it is the run that others kill.
func TestChildRun(t *testing.T) {
	dir := os.Getenv(childState)
	if dir == "" {
		t.Skip("only called by other tests")
	}
	m, err := newChild(dir)
	require.NoError(t, err)
	require.NoError(t, m.steps(t.Context(), []step{
		{"host", func(ctx context.Context) error {
			err := m.prepare(ctx)
			m.executor = &noting{m, filepath.Join(dir, "begun")}
			m.patience.Wait = 10 * time.Millisecond
			return err
		}},
		{"images", m.provideImages},
		{"plan", m.makePlan},
		{"build", m.build},
		{"sign", m.signPackages},
		{"snapshot", m.makeSnapshots},
		{"publish", m.publish},
	}))
	_, err = m.finish(nil)
	require.NoError(t, err)
}

func newChild(dir string) (*Matrix, error) {
	c, err := load.Dir(filepath.Join(dir, "catalog"))
	if err != nil {
		return nil, err
	}
	return New(Options{
		Program: "test", Catalog: c, Architectures: []string{emulate.Host()}, State: filepath.Join(dir, "state"), Out: filepath.Join(dir, "out"),
		URL: "file:///srv/repos", Runtime: "runc", KeyName: "OpenHPC 3", KeyEmail: "root@localhost", Jobs: 3, Retry: 1,
	})
}

// noting notes the keys of jobs that rpmbuild is started for.
type noting struct {
	m    *Matrix
	file string
}

// Execute implements [Executor].
func (n *noting) Execute(ctx context.Context, file string, log io.Writer) (*execute.Outcome, error) {
	key := strings.TrimSuffix(filepath.Base(file), ".json")
	return execute.NewLocal(n.m.opt.State, n.m.store, &notingBuilder{n.m.builder, n.file, key}).Execute(ctx, file, log)
}

type notingBuilder struct {
	execute.Builder
	file, key string
}

func (n *notingBuilder) Build(ctx context.Context, job builder.Job, log io.Writer) (*builder.Result, error) {
	f, err := os.OpenFile(n.file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if _, err := fmt.Fprintln(f, n.key); err != nil {
		return nil, err
	}
	return n.Builder.Build(ctx, job, log)
}

// victim is a folder with a catalogue, and a state folder that has images and
// nothing else.
type victim struct {
	t     *testing.T
	dir   string
	state string
	specs map[string]int // recipes and how often they were changed
}

func newVictim(t *testing.T) *victim {
	t.Helper()
	testenv.Integration(t)
	testenv.Root(t)
	testenv.Programs(t, "runc", "mmdebstrap")
	shared := testenv.State(t)
	// Beside the other one, so that it has hard links to its files.
	require.NoError(t, os.MkdirAll(shared, 0o755))
	dir, err := os.MkdirTemp(filepath.Dir(shared), "ohpc-build-test-") //nolint:usetesting // on another file system there are no links
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	v := &victim{t: t, dir: dir, state: filepath.Join(dir, "state"), specs: map[string]int{}}
	v.write("catalog.yaml", "release: \"3\"\nversion: \"3\"\ndate: 2024-10-21\nurl: https://example.org\n")
	target, err := fs.ReadFile(catalog.FS(), "targets/Debian_12.yaml")
	require.NoError(t, err)
	v.write("targets/Debian_12.yaml", string(target))
	v.write("meta/all/recipe.yaml", "name: all\nkind: meta-package\nsummary: A test\nrequires: [base-ohpc, left-ohpc, right-ohpc, top-ohpc]\n")
	for _, name := range []string{"base", "left", "right", "top"} {
		v.change(name)
	}
	v.linkImages(shared)
	return v
}

func (v *victim) write(name, text string) {
	path := filepath.Join(v.dir, "catalog", name)
	require.NoError(v.t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(v.t, os.WriteFile(path, []byte(text), 0o644))
}

// change writes a recipe's spec, so that it has to be built anew.
func (v *victim) change(name string) {
	v.specs[name]++
	requires := map[string]string{"left": "base-ohpc", "right": "base-ohpc", "top": "left-ohpc right-ohpc"}[name]
	if requires != "" {
		requires = "BuildRequires: " + requires
	}
	dir := "components/test/" + name
	v.write(dir+"/recipe.yaml", "name: "+name+"\nkind: component\ngroup: test\nsummary: A test\nneeds: {memory: 256MiB, disk: 64MiB}\n")
	v.write(dir+"/SPECS/"+name+".spec", fmt.Sprintf(`Name: %s-ohpc
Version: %d
Release: 1
Summary: A test
License: Apache-2.0
%s
%%description
A test.
%%install
sleep 0.2
mkdir -p %%{buildroot}/opt/%s
echo %d > %%{buildroot}/opt/%s/file
%%files
/opt/%s
%%changelog
* Mon Oct 21 2024 ohpc-build - 1-1
- First version
`, name, v.specs[name], requires, name, v.specs[name], name, name))
}

var digestPattern = regexp.MustCompile(`sha256:([0-9a-f]{2})([0-9a-f]{62})`)

// linkImages takes the images over that another state folder has. One is made there
// first if need be.
func (v *victim) linkImages(shared string) {
	m, err := newChild(v.dir)
	require.NoError(v.t, err)
	m.opt.State = shared
	require.NoError(v.t, m.steps(v.t.Context(), []step{{"host", m.prepare}, {"images", m.provideImages}}))
	require.NoError(v.t, os.MkdirAll(filepath.Join(v.state, "layers"), 0o755))
	require.NoError(v.t, os.Symlink(filepath.Join(shared, "layers/images"), filepath.Join(v.state, "layers/images")))
	records, err := filepath.Glob(filepath.Join(shared, "store/records/image*/*.json"))
	require.NoError(v.t, err)
	for _, record := range records {
		text, err := os.ReadFile(record)
		require.NoError(v.t, err)
		rel, err := filepath.Rel(shared, record)
		require.NoError(v.t, err)
		require.NoError(v.t, os.MkdirAll(filepath.Dir(filepath.Join(v.state, rel)), 0o755))
		require.NoError(v.t, os.WriteFile(filepath.Join(v.state, rel), text, 0o644))
		for _, d := range digestPattern.FindAllStringSubmatch(string(text), -1) {
			object := filepath.Join("store/objects/sha256", d[1], d[1]+d[2])
			require.NoError(v.t, os.MkdirAll(filepath.Dir(filepath.Join(v.state, object)), 0o755))
			if err := os.Link(filepath.Join(shared, object), filepath.Join(v.state, object)); !errors.Is(err, fs.ErrExist) && !errors.Is(err, fs.ErrNotExist) {
				require.NoError(v.t, err)
			}
		}
	}
}

// start starts a run.
func (v *victim) start() (*exec.Cmd, *strings.Builder) {
	cmd := exec.Command(os.Args[0], "-test.run=^TestChildRun$", "-test.count=1")
	cmd.Env = append(os.Environ(), childState+"="+v.dir)
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	require.NoError(v.t, cmd.Start())
	return cmd, &out
}

// finished are the keys of the jobs whose results are in the store, whole.
func (v *victim) finished() map[string]bool {
	st, err := store.Open(filepath.Join(v.state, "store"))
	require.NoError(v.t, err)
	all := map[string]bool{}
	entries, _, err := st.Entries(v.t.Context())
	require.NoError(v.t, err)
	for _, e := range entries {
		var ran state.Job
		if e.Kind != "ran" || st.ReadEntry(e, &ran) != nil {
			continue
		}
		if _, err := execute.Result(st, store.Digest(ran.Key)); err == nil {
			all[store.Digest(ran.Key).Hex()] = true
		}
	}
	return all
}

// begun are the builds that were started since the last call.
func (v *victim) begun() []string {
	file := filepath.Join(v.dir, "begun")
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	require.NoError(v.t, err)
	require.NoError(v.t, os.Remove(file))
	return strings.Split(strings.TrimSpace(string(text)), "\n")
}

// damage cuts or overwrites something that runs have left in the store, as a machine
// does that stops before everything is on its disk. It says what.
func (v *victim) damage(r *rand.Rand) string {
	var files []string
	for _, dir := range []string{"objects", "records/results", "records/signed", "records/parts", "records/ran", "records/spec"} {
		_ = filepath.WalkDir(filepath.Join(v.state, "store", dir), func(path string, d fs.DirEntry, err error) error {
			// What has another name is an image's, or part of a repository.
			if fi, ferr := os.Lstat(path); err == nil && ferr == nil && d.Type().IsRegular() && fi.Sys().(*syscall.Stat_t).Nlink == 1 {
				files = append(files, path)
			}
			return nil
		})
	}
	if len(files) == 0 {
		return "nothing"
	}
	path := files[r.IntN(len(files))]
	fi, err := os.Stat(path)
	require.NoError(v.t, err)
	require.NoError(v.t, os.Chmod(path, 0o644))
	if r.IntN(2) == 0 {
		require.NoError(v.t, os.Truncate(path, fi.Size()/2))
	} else {
		require.NoError(v.t, os.WriteFile(path, make([]byte, fi.Size()), 0o644))
	}
	return path
}

// killContainer ends one of a run's containers from outside, if there is one.
func (v *victim) killContainer() bool {
	dirs, _ := filepath.Glob(filepath.Join(v.state, "run/containers/ohpc-*"))
	for _, dir := range dirs {
		if exec.Command("runc", "--root", filepath.Join(dir, "runc"), "kill", filepath.Base(dir), "KILL").Run() == nil {
			return true
		}
	}
	return false
}

// TestResume kills runs, their containers and what they have written, at random, and
// has the next run go on.
func TestResume(t *testing.T) {
	v := newVictim(t)
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("OHPC_BUILD_TEST_SEED"); s != "" {
		var err error
		seed, err = strconv.ParseUint(s, 10, 64)
		require.NoError(t, err)
	}
	n := kills
	if os.Getenv("CI") == "true" {
		n = killsCI
	}
	if s := os.Getenv("OHPC_BUILD_TEST_KILLS"); s != "" {
		var err error
		n, err = strconv.Atoi(s)
		require.NoError(t, err)
	}
	t.Logf("OHPC_BUILD_TEST_SEED=%d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	cmd, out := v.start()
	require.NoError(t, cmd.Wait(), out.String())
	require.Len(t, v.begun(), 4)
	v.change("base") // and with it what needs that; top does not, as that comes out the same
	begin := time.Now()
	cmd, out = v.start()
	require.NoError(t, cmd.Wait(), out.String())
	whole := time.Since(begin)
	require.Len(t, v.begun(), 3)

	names := slices.Sorted(maps.Keys(v.specs))
	done, killed, containers, builds := v.finished(), 0, 0, 0
	for i := range n {
		v.change(names[r.IntN(len(names))])
		cmd, out := v.start()
		var what string
		// Not only where most of the time goes, which is before the first build.
		after := time.Duration(r.Int64N(int64(whole)))
		if i%10 == 9 {
			require.Eventually(t, func() bool { return v.killContainer() || exited(cmd) }, time.Minute, 5*time.Millisecond)
			what = "a container"
			containers++
			require.NoError(t, cmd.Wait(), "a job whose container is killed is tried again: %s", out.String())
		} else {
			time.Sleep(after)
			require.NoError(t, cmd.Process.Kill())
			what = "the program"
			if err := cmd.Wait(); err != nil {
				killed++
			}
		}
		for _, key := range v.begun() {
			require.False(t, done[key], "run %d built what was finished: %s", i, key)
			builds++
		}
		if i%10 == 4 {
			what += ", and damaged the history and " + v.damage(r)
			require.NoError(t, os.WriteFile(filepath.Join(v.state, "state.db"), []byte("garbage"), 0o644))
		}
		done = v.finished()
		t.Logf("%2d: killed %s after %s; %d jobs are finished", i, what, after.Round(time.Millisecond), len(done))
	}
	t.Logf("%d programs and %d containers were killed, %d builds were begun, in %s; a whole run takes %s", killed, containers, builds, time.Since(begin).Round(time.Second), whole.Round(time.Millisecond))
	require.Greater(t, killed, n/3)

	cmd, out = v.start()
	require.NoError(t, cmd.Wait(), out.String())
	for _, key := range v.begun() {
		require.False(t, done[key], "the last run built what was finished: %s", key)
	}
	v.complete()
	cmd, out = v.start()
	require.NoError(t, cmd.Wait(), out.String())
	require.Empty(t, v.begun(), "there is nothing left to build")
	v.clean()
}

// TestTwoRunsOnOneStateFolder share the work: no job is built twice.
func TestTwoRunsOnOneStateFolder(t *testing.T) {
	v := newVictim(t)
	one, outOne := v.start()
	two, outTwo := v.start()
	require.NoError(t, one.Wait(), outOne.String())
	require.NoError(t, two.Wait(), outTwo.String())
	keys := v.begun()
	slices.Sort(keys)
	require.Len(t, slices.Compact(keys), 4)
	require.Len(t, keys, 4, "each job was built once")
	v.complete()
	v.clean()
}

// TestChildJob is no test: it is the process that runs one job for another.
func TestChildJob(t *testing.T) {
	file := os.Getenv("OHPC_BUILD_TEST_CHILD_JOB")
	if file == "" {
		t.Skip("only called by other tests")
	}
	_, err := Execute(t.Context(), Options{State: os.Getenv(childState), Runtime: "runc"}, file, t.Output())
	require.NoError(t, err)
}

// elsewhere runs each job in a process of its own, which knows nothing but the state
// folder and the file.
type elsewhere struct {
	m    *Matrix
	jobs int
}

// Execute implements [Executor].
func (e *elsewhere) Execute(ctx context.Context, file string, log io.Writer) (*execute.Outcome, error) {
	cmd := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestChildJob$", "-test.count=1", "-test.v")
	cmd.Env = append(os.Environ(), childState+"="+e.m.opt.State, "OHPC_BUILD_TEST_CHILD_JOB="+file)
	cmd.Stdout, cmd.Stderr = log, log
	e.jobs++
	if err := cmd.Run(); err != nil {
		return nil, err
	}
	result, err := execute.Result(e.m.store, store.Digest("sha256:"+strings.TrimSuffix(filepath.Base(file), ".json")))
	return &execute.Outcome{Result: result}, err
}

func TestJobsRunInOtherProcesses(t *testing.T) {
	v := newVictim(t)
	m, err := newChild(v.dir)
	require.NoError(t, err)
	m.opt.Jobs = 1
	other := &elsewhere{m: m}
	require.NoError(t, m.steps(t.Context(), []step{
		{"host", func(ctx context.Context) error {
			err := m.prepare(ctx)
			m.executor = other
			return err
		}},
		{"images", m.provideImages},
		{"plan", m.makePlan},
		{"build", m.build},
	}))
	r, err := m.finish(nil)
	require.NoError(t, err)
	require.Equal(t, 5, other.jobs, "the meta-package too")
	for _, j := range r.Jobs {
		require.Equal(t, report.Built, j.Result, j.ID)
		require.Positive(t, j.Slot)
		require.Len(t, r.History[j.ID], 1)
	}
	log, err := os.ReadFile(filepath.Join(v.dir, "out/report/logs/top_Debian_12_"+emulate.Host()+".log"))
	require.NoError(t, err)
	require.Contains(t, string(log), "Wrote: ")
}

func exited(cmd *exec.Cmd) bool { return syscall.Kill(cmd.Process.Pid, 0) != nil }

// complete says that everything is built and published as the catalogue has it now.
func (v *victim) complete() {
	files, err := filepath.Glob(filepath.Join(v.dir, "out/repos/OpenHPC/3/Debian_12/*/*.rpm"))
	require.NoError(v.t, err)
	versions := map[string]string{}
	for _, f := range files {
		p, err := rpm.ReadFile(f)
		require.NoError(v.t, err)
		if p.Arch != "src" {
			versions[p.Name] = p.Version
		}
	}
	for name, n := range v.specs {
		require.Equal(v.t, strconv.Itoa(n), versions[name+"-ohpc"])
	}
	text, err := os.ReadFile(filepath.Join(v.dir, "out/report/matrix.json"))
	require.NoError(v.t, err)
	var r struct{ Jobs []struct{ Result string } }
	require.NoError(v.t, json.Unmarshal(text, &r))
	require.Len(v.t, r.Jobs, 5)
	for _, j := range r.Jobs {
		require.Contains(v.t, []string{"built", "reused"}, j.Result)
	}
}

// clean says that nothing is left of the runs that were killed.
func (v *victim) clean() {
	t := v.t
	m, err := newChild(v.dir)
	require.NoError(t, err)
	require.NoError(t, m.steps(t.Context(), []step{{"host", m.prepare}}))
	repository, err := filepath.EvalSymlinks(filepath.Join(v.dir, "out/repos/OpenHPC/3/Debian_12"))
	require.NoError(t, err)
	require.NoError(t, verify.Repository(t.Context(), repository, m.key.Published()))
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	require.NoError(t, err)
	require.NotContains(t, string(mounts), v.dir)
	for _, pattern := range []string{"run/containers/*", "jobs/*.lock", "jobs/.new-*"} {
		left, err := filepath.Glob(filepath.Join(v.state, pattern))
		require.NoError(t, err)
		require.Empty(t, left, pattern)
	}
	require.Zero(t, processes(v.dir), "no process of a killed run is left")
}

// processes counts those whose command line has a word.
func processes(word string) int {
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	n := 0
	for _, f := range files {
		if line, err := os.ReadFile(f); err == nil && strings.Contains(string(line), word) {
			n++
		}
	}
	return n
}
