package execute_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/builder"
	"github.com/ohpc-build/ohpc-build/builder/buildroot"
	"github.com/ohpc-build/ohpc-build/builder/hints"
	"github.com/ohpc-build/ohpc-build/builder/meta"
	"github.com/ohpc-build/ohpc-build/builder/resolve"
	"github.com/ohpc-build/ohpc-build/builder/sandbox"
	"github.com/ohpc-build/ohpc-build/internal/store"
	"github.com/ohpc-build/ohpc-build/matrix/execute"
	"github.com/ohpc-build/ohpc-build/matrix/plan"
)

// whole is a description in which nothing is left out.
func whole(state string) execute.Description {
	spec, source, pkg := store.Of([]byte("spec")), store.Of([]byte("source")), store.Of([]byte("package"))
	d := execute.Description{
		Name: "tree scotch@gnu12/Debian_12/aarch64", Recipe: "scotch", Variant: "gnu12", Target: "Debian_12", Reason: "spec changed",
		Parts: plan.Parts{
			plan.PartBuilder: builder.Format, plan.PartImage: "sha256:image", plan.PartSpec: string(spec), plan.PartNative: "sha256:native",
			plan.PartSource("scotch.tar"): string(source), plan.PartDefine("compiler_family"): "gnu12",
			plan.PartDependency("gnu12", "gnu12.rpm"): string(pkg),
		},
		Lock: &resolve.Lock{
			Version: resolve.LockVersion, Job: "scotch@gnu12/Debian_12/aarch64", Target: "Debian_12", Arch: "aarch64", Requires: []string{"gnu12"},
			Packages: []resolve.Package{{Name: "gnu12", File: "gnu12.rpm", Kind: resolve.KindRPM, Digest: pkg, Origin: resolve.Origin{Job: "gnu12/Debian_12/aarch64"}}},
		},
		Job: builder.Job{
			ID: "scotch@gnu12/Debian_12/aarch64", Arch: "aarch64",
			Image:        buildroot.Image{Digest: "sha256:image", Layers: []string{filepath.Join(state, "layers/images/a"), "/elsewhere/b"}},
			Spec:         builder.File{Name: "scotch.spec", Digest: spec},
			Sources:      []builder.File{{Name: "scotch.tar", Digest: source}},
			Defines:      []builder.Define{{Name: "compiler_family", Value: "gnu12"}},
			Dependencies: []buildroot.Package{{File: "gnu12.rpm", Digest: pkg}},
			Limits:       builder.Limits{Time: time.Hour, Memory: 1 << 30, Cores: 2, Pids: 4096, Disk: 1 << 30},
			Requires:     []hints.Requirement{{Text: "gnu12", Where: "scotch.spec:3"}},
			Names:        map[string][]string{"libz": {"zlib1g"}},
			Native: &builder.Native{
				Mounts: []sandbox.Mount{{Source: filepath.Join(state, "store/tmp/x/cc"), Destination: "/usr/bin/cc", ReadOnly: true}}, Env: []string{"A=b"},
			},
		},
	}
	d.Key = d.Parts.Key()
	return d
}

func TestADescriptionHoldsAllThereIs(t *testing.T) {
	state := t.TempDir()
	d := whole(state)
	file, err := execute.Write(state, d)
	require.NoError(t, err)
	read, err := execute.Read(state, file)
	require.NoError(t, err)
	d.Version = execute.Version
	require.Equal(t, d, read)

	// The folder may be elsewhere for whoever runs the job.
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	require.NotContains(t, string(text), state)
	other := t.TempDir()
	read, err = execute.Read(other, file)
	require.NoError(t, err)
	require.Equal(t, []string{filepath.Join(other, "layers/images/a"), "/elsewhere/b"}, read.Job.Image.Layers)
}

func TestADescriptionThatDoesNotFitTogetherIsRefused(t *testing.T) {
	for want, change := range map[string]func(*execute.Description){
		"its key is not that of its parts":                  func(d *execute.Description) { d.Parts["image"] = "sha256:other" },
		"its spec is not that of its key":                   func(d *execute.Description) { d.Job.Spec.Digest = "sha256:other" },
		"its source scotch.tar is not that of its key":      func(d *execute.Description) { d.Job.Sources[0].Digest = "sha256:other" },
		"its key has sources or defines that it lacks":      func(d *execute.Description) { d.Job.Sources = nil },
		"its define compiler_family is not that of its key": func(d *execute.Description) { d.Job.Defines[0].Value = "gnu14" },
		"its define more is not that of its key":            func(d *execute.Description) { d.Job.Defines = append(d.Job.Defines, builder.Define{Name: "more"}) },
		"its dependencies are not those of its lock":        func(d *execute.Description) { d.Job.Dependencies = nil },
		"it has no lock": func(d *execute.Description) { d.Lock = nil },
		"the meta-package is not that of its key":            func(d *execute.Description) { d.Meta = &meta.Spec{} },
		"it is for the builder's format \"1\", this program": func(d *execute.Description) { d.Parts[plan.PartBuilder] = "1"; d.Key = d.Parts.Key() },
		"its format has version 99, this program knows 1":    func(d *execute.Description) { d.Version = 99 },
	} {
		t.Run(want, func(t *testing.T) {
			state := t.TempDir()
			d := whole(state)
			d.Version = execute.Version
			change(&d)
			text, err := json.Marshal(d)
			require.NoError(t, err)
			file := filepath.Join(state, "job.json")
			require.NoError(t, os.WriteFile(file, text, 0o644))
			_, err = execute.Read(state, file)
			var wrong *execute.DescriptionError
			require.ErrorAs(t, err, &wrong)
			require.ErrorContains(t, err, want)
		})
	}
	state := t.TempDir()
	for name, text := range map[string]string{"not JSON": "job", "empty": "", "unknown field": `{"version":1,"run":"rm -rf /"}`} {
		file := filepath.Join(state, "job.json")
		require.NoError(t, os.WriteFile(file, []byte(text), 0o644))
		_, err := execute.Read(state, file)
		require.Error(t, err, name)
	}
	_, err := execute.Read(state, filepath.Join(state, "none"))
	require.ErrorContains(t, err, "no such file")
	_, err = execute.Read(state, state)
	require.ErrorContains(t, err, "it is no file")
}

// slow builds a package after a while, and counts.
type slow struct {
	store *store.Store
	mu    sync.Mutex
	times int
	err   error
}

func (s *slow) Build(ctx context.Context, _ builder.Job, _ io.Writer) (*builder.Result, error) {
	s.mu.Lock()
	s.times++
	s.mu.Unlock()
	time.Sleep(300 * time.Millisecond)
	if s.err != nil {
		return nil, s.err
	}
	d, err := s.store.PutBytes(ctx, []byte("a package"))
	return &builder.Result{Packages: []buildroot.Package{{File: "scotch.rpm", Digest: d}}, Seconds: 0.3}, err
}

func TestAJobRunsOnceHoweverManyWantIt(t *testing.T) {
	state := t.TempDir()
	st, err := store.Open(filepath.Join(state, "store"))
	require.NoError(t, err)
	b := &slow{store: st}
	d := whole(state)
	var wg sync.WaitGroup
	var mu sync.Mutex
	reused, waited := 0, 0
	for range 4 {
		file, err := execute.Write(state, d)
		require.NoError(t, err)
		wg.Go(func() {
			var log bytes.Buffer
			outcome, err := execute.NewLocal(state, st, b).Execute(t.Context(), file, &log)
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			if outcome.Reused {
				reused++
			}
			if strings.Contains(log.String(), "another process builds scotch@gnu12/Debian_12/aarch64") {
				waited++
			}
			if len(outcome.Result.Packages) != 1 {
				t.Error("no package")
			}
		})
	}
	wg.Wait()
	require.Equal(t, 1, b.times)
	require.Equal(t, 3, reused)
	require.Equal(t, 3, waited)
	left, err := os.ReadDir(execute.Folder(state))
	require.NoError(t, err)
	require.Empty(t, left)

	ran, err := execute.Past(st)(t.Context())
	require.NoError(t, err)
	require.Len(t, ran, 1)
	require.Equal(t, d.Name, ran[0].Name)
	require.Equal(t, 0.3, ran[0].Seconds)
	require.Equal(t, d.Parts, execute.Parts(st, d.Name))

	// A result whose package is damaged is none.
	path, err := st.Path(store.Of([]byte("a package")))
	require.NoError(t, err)
	require.NoError(t, os.Remove(path))
	_, err = execute.Result(st, d.Key)
	require.ErrorIs(t, err, store.ErrNotFound)
}

func TestWhoWaitsCanBeInterrupted(t *testing.T) {
	state := t.TempDir()
	st, err := store.Open(filepath.Join(state, "store"))
	require.NoError(t, err)
	b := &slow{store: st, err: errors.New("it failed")}
	file, err := execute.Write(state, whole(state))
	require.NoError(t, err)
	begun := make(chan struct{})
	go func() {
		close(begun)
		_, _ = execute.NewLocal(state, st, b).Execute(context.Background(), file, io.Discard)
	}()
	<-begun
	time.Sleep(100 * time.Millisecond)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = execute.NewLocal(state, st, b).Execute(ctx, file, io.Discard)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.FileExists(t, file, "the description of a job that has not succeeded stays")
}

func TestCleanLeavesWhatIsInUse(t *testing.T) {
	state := t.TempDir()
	require.NoError(t, execute.Clean(state), "there is nothing yet")
	file, err := execute.Write(state, whole(state))
	require.NoError(t, err)
	dead := filepath.Join(execute.Folder(state), "dead.lock")
	old := filepath.Join(execute.Folder(state), "old.json")
	half := filepath.Join(execute.Folder(state), ".new-1234")
	for _, f := range []string{dead, old, half} {
		require.NoError(t, os.WriteFile(f, nil, 0o644))
	}
	require.NoError(t, os.Chtimes(old, time.Time{}, time.Now().Add(-2*time.Hour)))
	require.NoError(t, execute.Clean(state))
	require.FileExists(t, file)
	require.NoFileExists(t, dead)
	require.NoFileExists(t, old)
	require.NoFileExists(t, half, "its writer was killed a moment ago")

	written := make(chan error)
	go func() {
		defer close(written)
		for range 100 {
			if _, err := execute.Write(state, whole(state)); err != nil {
				written <- err
				return
			}
		}
	}()
	for cleaned := 0; ; cleaned++ {
		select {
		case err := <-written:
			require.NoError(t, err, "cleaning takes nothing away from somebody who writes")
			require.NotZero(t, cleaned)
			return
		default:
			require.NoError(t, execute.Clean(state))
		}
	}
}
