package source_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/internal/store"
	"github.com/ohpc-build/ohpc-build/recipes"
	"github.com/ohpc-build/ohpc-build/recipes/source"
)

const content = "what upstream released\n"

func hexOf(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

func newFetcher(t *testing.T, opts ...source.Option) (*source.Fetcher, *store.Store) {
	t.Helper()
	st, err := store.Open(t.TempDir())
	require.NoError(t, err)
	f := source.New(st, append([]source.Option{source.WithRetries(3, time.Millisecond)}, opts...)...)
	t.Cleanup(func() {
		require.NoError(t, f.Close())
		left, err := filepath.Glob(filepath.Join(st.Dir(), "tmp", "*"))
		require.NoError(t, err)
		require.Empty(t, left, "temporary files stay behind")
	})
	return f, st
}

// site serves what upstream released, and everything that can go wrong.
type site struct {
	*httptest.Server
	requests atomic.Int32
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{}
	mux := http.NewServeMux()
	mux.HandleFunc("/good", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, content) })
	mux.HandleFunc("/other", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "something else\n") })
	mux.HandleFunc("/busy", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) })
	mux.HandleFunc("/third-time", func(w http.ResponseWriter, _ *http.Request) {
		if s.requests.Load() < 3 {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		fmt.Fprint(w, content)
	})
	mux.HandleFunc("/truncated", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "1000")
		fmt.Fprint(w, content)
	})
	mux.HandleFunc("/announced", func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Content-Length", "99999999") })
	mux.HandleFunc("/endless", func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			if _, err := w.Write(make([]byte, 4096)); err != nil {
				return
			}
		}
	})
	mux.HandleFunc("/silent", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "what ")
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	})
	mux.HandleFunc("/gzipped", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		fmt.Fprint(w, content) // a server that labels .gz files so must not change what is kept
	})
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.requests.Add(1)
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

func TestURL(t *testing.T) {
	tests := map[string]struct {
		paths    []string // the address and its mirrors
		requests int32
		want     []string // what the error says; none: it works
	}{
		"good":                        {paths: []string{"/good"}, requests: 1},
		"labelled as compressed":      {paths: []string{"/gzipped"}, requests: 1},
		"the third time":              {paths: []string{"/third-time"}, requests: 3},
		"a mirror after a refusal":    {paths: []string{"/missing", "/good"}, requests: 2},
		"a mirror after a wrong file": {paths: []string{"/other", "/good"}, requests: 2},
		"not found":                   {paths: []string{"/missing"}, requests: 1, want: []string{"/missing: the server says 404 Not Found"}},
		"busy for good":               {paths: []string{"/busy"}, requests: 3, want: []string{"/busy: the server says 503 Service Unavailable (tried 3 times)"}},
		"another file":                {paths: []string{"/other"}, requests: 1, want: []string{"/other: its SHA-256 is " + hexOf("something else\n"), "the recipe says " + hexOf(content)}},
		"truncated":                   {paths: []string{"/truncated"}, requests: 3, want: []string{"/truncated: ", "unexpected EOF"}},
		"too large, as announced":     {paths: []string{"/announced"}, requests: 1, want: []string{"larger than the limit of 1 MiB"}},
		"too large, unannounced":      {paths: []string{"/endless"}, requests: 1, want: []string{"larger than the limit of 1 MiB"}},
		"silent":                      {paths: []string{"/silent"}, requests: 3, want: []string{"the server sent nothing for 100ms"}},
		"every place is named": {
			paths: []string{"/missing", "/other", "/busy"}, requests: 5,
			want: []string{"source it.tar cannot be fetched\n", "/missing: the server says 404", "/other: its SHA-256 is", "/busy: the server says 503"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			web := newSite(t)
			f, st := newFetcher(t, source.WithMaxSize(1<<20), source.WithStall(100*time.Millisecond))
			s := recipes.Source{File: "it.tar", SHA256: hexOf(content), URL: web.URL + tt.paths[0]}
			for _, p := range tt.paths[1:] {
				s.Mirrors = append(s.Mirrors, web.URL+p)
			}
			d, err := f.Fetch(t.Context(), s, nil)
			require.Equal(t, tt.requests, web.requests.Load(), "requests")
			if tt.want == nil {
				require.NoError(t, err)
				data, err := st.ReadAll(d, 1000)
				require.NoError(t, err)
				require.Equal(t, content, string(data))
				return
			}
			var failure *source.FetchError
			require.ErrorAs(t, err, &failure)
			require.Len(t, failure.Tries, len(tt.paths))
			for _, want := range tt.want {
				require.ErrorContains(t, err, want)
			}
			require.False(t, st.Has(store.Of([]byte("something else\n"))), "what is not wanted must not stay")
		})
	}
}

func TestDigestErrorIsTyped(t *testing.T) {
	web := newSite(t)
	f, _ := newFetcher(t)
	_, err := f.Fetch(t.Context(), recipes.Source{File: "it.tar", SHA256: hexOf(content), URL: web.URL + "/other"}, nil)
	var mismatch *source.DigestError
	require.ErrorAs(t, err, &mismatch)
	require.Equal(t, &source.DigestError{
		Source: "it.tar", Place: web.URL + "/other",
		Want: store.Of([]byte(content)), Got: store.Of([]byte("something else\n")),
	}, mismatch)
}

func TestUnreachable(t *testing.T) {
	web := newSite(t)
	web.Close()
	f, _ := newFetcher(t)
	_, err := f.Fetch(t.Context(), recipes.Source{File: "it.tar", SHA256: hexOf(content), URL: web.URL + "/good"}, nil)
	require.ErrorContains(t, err, web.URL+"/good: dial tcp")
	require.ErrorContains(t, err, "connection refused (tried 3 times)")
}

func TestWhatIsInTheStoreIsNotFetchedAgain(t *testing.T) {
	web := newSite(t)
	f, st := newFetcher(t)
	s := recipes.Source{File: "it.tar", SHA256: hexOf(content), URL: web.URL + "/good"}
	d, err := f.Fetch(t.Context(), s, nil)
	require.NoError(t, err)
	_, err = f.Fetch(t.Context(), s, nil)
	require.NoError(t, err)
	require.EqualValues(t, 1, web.requests.Load())

	path, err := st.Path(d)
	require.NoError(t, err)
	require.NoError(t, os.Chmod(path, 0o644))
	require.NoError(t, os.WriteFile(path, []byte("rotten"), 0o644))
	_, err = f.Fetch(t.Context(), s, nil)
	require.NoError(t, err, "a damaged copy is fetched anew")
	require.EqualValues(t, 2, web.requests.Load())
	_, err = st.Path(d)
	require.NoError(t, err)
}

func TestCancel(t *testing.T) {
	web := newSite(t)
	f, _ := newFetcher(t)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	begin := time.Now()
	_, err := f.Fetch(ctx, recipes.Source{File: "it.tar", SHA256: hexOf(content), URL: web.URL + "/silent"}, nil)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	var failure *source.FetchError
	require.NotErrorAs(t, err, &failure, "an interrupt is no fault of the source")
	require.Less(t, time.Since(begin), 5*time.Second)
}

func TestGenerated(t *testing.T) {
	f, st := newFetcher(t)
	s := recipes.Source{File: "OpenHPC.repo", Generated: "repo-file"}
	d, err := f.Fetch(t.Context(), s, source.Generated{"repo-file": []byte("[OpenHPC]\n")})
	require.NoError(t, err)
	data, err := st.ReadAll(d, 100)
	require.NoError(t, err)
	require.Equal(t, "[OpenHPC]\n", string(data))

	_, err = f.Fetch(t.Context(), s, source.Generated{"public-key": nil})
	require.EqualError(t, err, `source OpenHPC.repo: nothing was generated under the name "repo-file"`)
}

func TestNothingSaid(t *testing.T) {
	f, _ := newFetcher(t)
	_, err := f.Fetch(t.Context(), recipes.Source{File: "it.tar"}, nil)
	require.ErrorContains(t, err, "does not say where it comes from")
	_, err = f.Fetch(t.Context(), recipes.Source{File: "it.tar", SHA256: strings.Repeat("z", 64)}, nil)
	require.ErrorContains(t, err, "is not a SHA-256 digest")
}

// needNetwork skips a test that needs a service of the world, except where tests
// must be complete.
func needNetwork(t *testing.T, err error) {
	t.Helper()
	if err == nil {
		return
	}
	if os.Getenv("CI") == "true" {
		require.NoError(t, err)
	}
	t.Skipf("not reachable from here: %v", err)
}
