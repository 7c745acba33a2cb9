package channel_test

import (
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/repo/channel"
	"github.com/ohpc-build/ohpc-build/repo/layout"
	"github.com/ohpc-build/ohpc-build/repo/publish/publishtest"
	"github.com/ohpc-build/ohpc-build/repo/rpm/rpmtest"
	"github.com/ohpc-build/ohpc-build/repo/sign"
	"github.com/ohpc-build/ohpc-build/repo/snapshot"
	"github.com/ohpc-build/ohpc-build/repo/verify"
)

const (
	publisherDir   = "OHPC_TEST_PUBLISHER_DIR"
	publisherBegin = "OHPC_TEST_PUBLISHER_BEGIN"
)

var crashTargets = []string{"EL_9", "Leap_15"}

// generation makes a snapshot of each target, new for each number.
func generation(f *publishtest.Fixture, i int) []snapshot.Snapshot {
	var all []snapshot.Snapshot
	p := f.Add(rpmtest.Simple("p", strconv.Itoa(i), "1", "noarch"), "")
	for _, target := range crashTargets {
		g := *f
		g.Spec.Target = target
		g.Spec.Time = publishtest.Created.Add(time.Duration(i) * time.Second)
		all = append(all, g.MustMake(p))
	}
	return all
}

// TestPublisher is the process that TestKill kills: it makes snapshots of two
// targets and publishes them together, back and forth, without end.
func TestPublisher(t *testing.T) {
	dir := os.Getenv(publisherDir)
	if dir == "" {
		t.Skip("it is run by TestKill")
	}
	key, err := sign.LoadKey(filepath.Join(dir, "key"))
	require.NoError(t, err)
	f := publishtest.SetUpIn(t, dir, key)
	i, err := strconv.Atoi(os.Getenv(publisherBegin))
	require.NoError(t, err)
	if i == 0 {
		generation(f, 0)
	}
	tree := f.Tree(channel.Options{})
	last := generation(f, i)
	for ; ; i++ {
		next := generation(f, i+1)
		for n := range 21 { // most of the time is spent with what is to be tested
			pair := [][]snapshot.Snapshot{next, last}[n%2]
			var moves []channel.Move
			for _, s := range pair {
				moves = append(moves, publishtest.To(t, tree, layout.Release, s))
			}
			require.NoError(t, tree.Move(t.Context(), moves...))
		}
		last = next
		if _, err := os.Stdout.WriteString("published\n"); err != nil {
			return
		}
	}
}

// TestKill kills a publisher at any moment, and looks at what readers find, what
// the next command makes of it, and that nothing is left over.
func TestKill(t *testing.T) {
	const kills = 60
	f := publishtest.SetUpInMemory(t)
	dir := filepath.Dir(f.Spec.Root)
	require.NoError(t, f.Spec.Key.Save(filepath.Join(dir, "key")))
	require.NoError(t, os.MkdirAll(f.Spec.Root, 0o755))
	tree := f.Tree(channel.Options{})
	completed, leftovers := 0, 0
	for i := range kills {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestPublisher$")
		cmd.Env = append(os.Environ(), publisherDir+"="+dir, publisherBegin+"="+strconv.Itoa(i*1000))
		out, err := cmd.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		_, err = io.ReadFull(out, make([]byte, len("published\n"))) // once around
		require.NoError(t, err)
		time.Sleep(time.Duration(rand.IntN(60_000)) * time.Microsecond)
		require.NoError(t, cmd.Process.Kill())
		var exit *exec.ExitError
		err = errors.Join(drain(out), cmd.Wait())
		require.ErrorAs(t, err, &exit)
		require.Equal(t, syscall.SIGKILL, exit.Sys().(syscall.WaitStatus).Signal(), "it was killed, nothing else ended it")

		// What readers find, through the mirrorlist and through the link.
		pointers, err := tree.Pointers()
		require.NoError(t, err)
		require.Len(t, pointers, len(crashTargets))
		for _, p := range pointers {
			s, err := tree.Current(p)
			require.NoError(t, err)
			require.NoError(t, verify.Repository(t.Context(), s.Dir, f.Spec.Key.Keyring()))
			link, err := filepath.EvalSymlinks(filepath.Join(f.Spec.Root, p.Link()))
			require.NoError(t, err)
			require.NoError(t, verify.Repository(t.Context(), link, f.Spec.Key.Keyring()))
		}

		// The next command completes it: all targets are of one generation.
		interrupted, err := tree.Interrupted()
		require.NoError(t, err)
		if interrupted {
			completed++
		}
		require.NoError(t, tree.Recover(t.Context()))
		var generations []string
		for _, p := range pointers {
			s, err := tree.Current(p)
			require.NoError(t, err)
			require.NoError(t, tree.Check(p))
			names, err := filepath.Glob(filepath.Join(s.Dir, "noarch", "*"))
			require.NoError(t, err)
			generations = append(generations, filepath.Base(names[0]))
		}
		require.Equal(t, generations[0], generations[1], "targets move together")

		done, err := tree.Collect(t.Context(), channel.Retention{Keep: 2})
		require.NoError(t, err)
		leftovers += len(done.Leftovers)
		_, err = verify.Tree(t.Context(), f.Spec.Root, f.Spec.Key.Keyring())
		require.NoError(t, err)
		for _, name := range publishtest.Files(t, f.Spec.Root) {
			require.NotContains(t, name, ".new-")
		}
	}
	t.Logf("%d kills; %d publishes were completed by the next command, %d leftovers swept", kills, completed, leftovers)
	require.Positive(t, completed+leftovers, "some kills were in the middle of something")
}

func drain(r io.Reader) error {
	_, err := io.Copy(io.Discard, r)
	return err
}
