package channel_test

import (
	"context"
	"flag"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/repo/channel"
	"github.com/ohpc-build/ohpc-build/repo/layout"
	"github.com/ohpc-build/ohpc-build/repo/publish/publishtest"
	"github.com/ohpc-build/ohpc-build/repo/rpm/rpmtest"
	"github.com/ohpc-build/ohpc-build/repo/snapshot"
)

// versions are two signed versions of a package, and one of another.
func versions(t *testing.T, f *publishtest.Fixture) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	for _, version := range []string{"1.0", "2.0"} {
		for _, path := range rpmtest.BuildText(t, publishtest.Installable(version), "noarch") {
			b, err := os.ReadFile(path)
			require.NoError(t, err)
			all[filepath.Base(path)] = f.Sign(b)
		}
	}
	return all
}

var plain = flag.Bool("baseurl", false, "TestNoReaderFails: clients use the channel's plain address, which is a race; count how often they lose")

// TestNoReaderFails lets dnf and zypper refresh, install and remove, with all
// signatures checked, while a publisher does nothing else than publish.
func TestNoReaderFails(t *testing.T) {
	const publishes, minRounds, pause = 500, 4, 15 * time.Millisecond
	// More than a mirrorlist names, so that each publish is of what no reader was
	// told of; made beforehand, so that publishes follow each other closely.
	const generations = 40
	f := publishtest.SetUpInMemory(t)
	server := httptest.NewServer(http.FileServer(http.Dir(f.Spec.Root)))
	defer server.Close()
	f.Spec.BaseURL = server.URL
	packages := versions(t, f)
	generation := func(i int) snapshot.Snapshot {
		g := *f
		g.Spec.Time = publishtest.Created.Add(time.Duration(i) * time.Second) // each is a new one
		version := []string{"client-test-1.0-1.noarch.rpm", "client-test-2.0-1.noarch.rpm"}[i%2]
		return g.MustMake(g.Raw(packages[version], version), g.Raw(packages["client-anchor-1-1.noarch.rpm"], "anchor"))
	}
	var snapshots []snapshot.Snapshot
	for i := range generations {
		snapshots = append(snapshots, generation(i))
	}
	require.NoError(t, f.Publish(snapshots[0]))
	tree := f.Tree(channel.Options{})
	released := layout.Pointer{Release: f.Spec.Release, Channel: layout.Release, Target: f.Spec.Target}

	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var wg sync.WaitGroup
	clients := map[string]*reader{}
	for _, c := range publishtest.Clients {
		r := &reader{Client: c, root: c.Root(t, filepath.Join(f.Spec.Root, released.RepoFile()))}
		if *plain {
			r.usePlain(t, server.URL+"/"+released.Link())
		}
		out, err := c.Run(t, r.root, "install", "client-anchor")
		require.NoError(t, err, out)
		wg.Go(func() { r.read(t, ctx) })
		clients[c.Name] = r
	}
	begin := time.Now()
	published := 0
	enough := func() bool {
		return clients["dnf"].rounds.Load() >= minRounds && clients["zypper"].rounds.Load() >= minRounds
	}
	for ; (published < publishes || !enough()) && !t.Failed(); published++ {
		if err := tree.Move(ctx, publishtest.To(t, tree, layout.Release, snapshots[(published+1)%generations])); err != nil {
			t.Errorf("publishing: %v", err)
		}
		time.Sleep(pause)
	}
	stop()
	wg.Wait()
	t.Logf("%d publishes in %s", published, time.Since(begin).Round(time.Second))
	for name, r := range clients {
		t.Logf("%s: %d rounds, %d commands failed", name, r.rounds.Load(), r.failed.Load())
	}
}

// reader is a client at work.
type reader struct {
	publishtest.Client
	root           string
	rounds, failed atomic.Int32
}

func (r *reader) read(t *testing.T, ctx context.Context) { //nolint:revive // the test comes first everywhere
	for ctx.Err() == nil && !t.Failed() {
		for _, command := range [][]string{r.Refresh, r.Install, r.Remove} {
			out, err := r.Run(t, r.root, command...)
			switch {
			case err == nil:
			case *plain:
				r.failed.Add(1)
				t.Logf("%s %v: %v\n%s", r.Name, command, err, out)
			default:
				t.Errorf("%s %v: %v\n%s", r.Name, command, err, out)
				return
			}
		}
		r.rounds.Add(1)
	}
}

// usePlain lets the client use the address that does not change.
func (r *reader) usePlain(t *testing.T, url string) {
	t.Helper()
	b, err := layout.RepoFile(layout.Repo{ID: "OpenHPC", Name: "OpenHPC", BaseURL: url, GPGKey: url + "/" + layout.KeyFile("3.2")})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(r.root, "etc", "repos", "test.repo"), b, 0o644))
}
