package builder

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/builder/kept"
	"github.com/ohpc-build/ohpc-build/builder/sandbox"
)

func TestWhoseRootIsKept(t *testing.T) {
	failure := &sandbox.ExitError{Code: 1}
	for name, tc := range map[string]struct {
		which Keep
		end   error
		want  bool
	}{
		"none of a failure":           {KeepNone, failure, false},
		"failed, of a failure":        {KeepFailed, failure, true},
		"failed, of one out of time":  {KeepFailed, sandbox.ErrTimeout, true},
		"failed, of a success":        {KeepFailed, nil, false},
		"failed, machine at fault":    {KeepFailed, &sandbox.StartError{Name: "a", Message: "no room"}, false},
		"failed, somebody pressed ^C": {KeepFailed, errors.New("interrupted"), false},
		"all, of a success":           {KeepAll, nil, true},
		"all, of a failure":           {KeepAll, failure, true},
	} {
		t.Run(name, func(t *testing.T) {
			b, job := newBuilder(t, func(top string, s sandbox.Spec) error {
				require.Equal(t, tc.which != KeepNone, s.Upper != "")
				if s.Upper != "" {
					write(t, filepath.Join(s.Upper, "etc/changed"), "by the build")
				}
				write(t, filepath.Join(top, "BUILD/half"), "done")
				write(t, filepath.Join(top, "RPMS/x86_64/a-1-1.x86_64.rpm"), "binary")
				return tc.end
			})
			folder := kept.New(filepath.Join(t.TempDir(), "kept"))
			WithKept(folder, tc.which)(b)
			_, err := b.Build(t.Context(), job, io.Discard)
			if tc.end == nil {
				require.NoError(t, err)
			} else {
				require.Error(t, err)
			}
			left, err := os.ReadDir(filepath.Join(b.store.Dir(), "tmp"))
			require.NoError(t, err)
			require.Empty(t, left)
			root, err := folder.Find(job.ID)
			if !tc.want {
				require.ErrorIs(t, err, fs.ErrNotExist)
				return
			}
			require.NoError(t, err)
			require.Equal(t, tc.end != nil, root.Failed)
			require.Equal(t, job.Image.Layers, root.Run.Layers)
			require.FileExists(t, filepath.Join(root.Dir(), kept.Changes, "etc/changed"))
			require.FileExists(t, filepath.Join(root.Dir(), kept.Build, "BUILD/half"))
		})
	}
}

func TestInputs(t *testing.T) {
	_, job := newBuilder(t, nil)
	inputs := func(change func(*Job)) string {
		j := job
		if change != nil {
			change(&j)
		}
		d, err := j.Inputs()
		require.NoError(t, err)
		return string(d)
	}
	native := func(source string) func(*Job) {
		return func(j *Job) {
			j.Native = &Native{Mounts: []sandbox.Mount{{Source: source, Destination: "/usr/bin/make"}}, Env: []string{"A=b"}}
		}
	}
	require.Equal(t, inputs(nil), inputs(nil))
	require.Equal(t, inputs(native("/run-1/make")), inputs(native("/run-2/make")), "each run has a folder of its own")
	require.NotEqual(t, inputs(nil), inputs(native("/run-1/make")))
	require.NotEqual(t, inputs(nil), inputs(func(j *Job) { j.Defines = []Define{{"dist", ".301.ohpc"}} }))
	require.NotEqual(t, inputs(nil), inputs(func(j *Job) { j.Spec.Digest = job.Sources[0].Digest }))
}
