package matrix_test

import (
	"crypto/sha256"
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

	"github.com/ohpc-build/ohpc-build/matrix/report"
)

// perAttempt is how often a source is asked for in one attempt of a job, while the
// server has trouble (package source).
const perAttempt = 3

func TestFaultsOfTheInfrastructureAreTriedAgain(t *testing.T) {
	l := newLine(t)
	text := fmt.Sprint("what was agreed on ", time.Now().UnixNano()) // no earlier test's source
	var asked, troubled atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if asked.Add(1) <= troubled.Load() {
			http.Error(w, "in a moment", http.StatusServiceUnavailable)
			return
		}
		fmt.Fprint(w, text)
	}))
	defer server.Close()
	l.component("retried", fmt.Sprintf("sources:\n  - file: x.txt\n    url: %s/x.txt\n    sha256: %x\n", server.URL, sha256.Sum256([]byte(text))),
		"Source0: x.txt", "%install\nmkdir -p %{buildroot}/opt\ncp %{S:0} %{buildroot}/opt/retried\n%files\n/opt/retried")
	l.component("broken", "", "", "%build\necho this is the\\ build\nfalse\n%files")

	troubled.Store(perAttempt)
	r, err := l.new(t).Build(t.Context())
	require.Error(t, err)
	retried := job(t, r, "retried")
	require.Equal(t, report.Fail, retried.Result)
	require.Contains(t, retried.Reason, "503 Service Unavailable")
	require.Contains(t, retried.Reason, "a fault of the infrastructure; --retry N tries again")
	require.NotContains(t, job(t, r, "broken").Reason, "infrastructure")
	require.EqualValues(t, perAttempt, asked.Load())

	// It goes on in the second attempt, in which the first answer is still no file.
	asked.Store(0)
	troubled.Store(perAttempt + 1)
	l.opt.Retry = 2
	r, err = l.new(t).Build(t.Context())
	require.ErrorContains(t, err, "1 of 2 jobs failed; the first: broken/")
	retried = job(t, r, "retried")
	require.Equal(t, report.Built, retried.Result, retried.Reason)
	require.Equal(t, 2, retried.Attempts)
	broken := job(t, r, "broken")
	require.Equal(t, 1, broken.Attempts, "what fails by itself would fail again")
	log, err := os.ReadFile(filepath.Join(l.opt.Out, "report", broken.Log))
	require.NoError(t, err)
	require.Equal(t, 1, strings.Count(string(log), "\nthis is the build\n"))
	require.NotContains(t, string(log), "=== attempt")
}

// TestAJobThatNeverEnds has others that run beside and after it.
func TestAJobThatNeverEnds(t *testing.T) {
	l := newLine(t)
	l.opt.Jobs = 2
	const marker = "3617.25"
	l.component("endless", "needs:\n  time: 4s\n", "", "%build\ntrap '' TERM INT HUP\n(setsid sleep "+marker+" &)\nwhile :; do sleep "+marker+" || :; done\n%files")
	l.component("above", "", "BuildRequires: endless-ohpc", file("above", "above"))
	l.component("beside", "", "", file("beside", "beside"))
	l.component("after", "", "BuildRequires: beside-ohpc", file("after", "after"))
	r, err := l.new(t).Build(t.Context())
	require.ErrorContains(t, err, "1 of 4 jobs failed; the first: endless/")
	require.Contains(t, job(t, r, "endless").Reason, "ran past its time limit of 4s")
	require.Contains(t, job(t, r, "endless").Reason, "needs.time")
	require.NotContains(t, job(t, r, "endless").Reason, "infrastructure")
	require.Equal(t, report.Skip, job(t, r, "above").Result)
	require.Equal(t, report.Built, job(t, r, "beside").Result)
	require.Equal(t, report.Built, job(t, r, "after").Result)
	require.Zero(t, running(marker), "nothing of it is left")
}
