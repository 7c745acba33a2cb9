package page_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/matrix/report"
	"github.com/ohpc-build/ohpc-build/matrix/report/reporttest"
	"github.com/ohpc-build/ohpc-build/matrix/report/write"
)

// programs are the names under which Chromium is installed.
var programs = []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "headless-shell"}

// browser starts Chromium. Each tab has one of its own: pages in the background are
// not drawn.
type browser struct{ allocator context.Context }

// find finds Chromium.
func find(t *testing.T) browser {
	t.Helper()
	var path string
	for _, name := range programs {
		if p, err := exec.LookPath(name); err == nil {
			path = p
			break
		}
	}
	if path == "" {
		const missing = "there is no Chromium on this host: the page cannot be tried (ci/setup-host.sh installs it)"
		if os.Getenv("CI") == "true" {
			t.Fatal(missing)
		}
		t.Skip(missing)
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.Flag("disable-dev-shm-usage", true))
	ctx, stop := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(stop)
	return browser{ctx}
}

// tab is one open page.
type tab struct {
	t   *testing.T
	ctx context.Context

	mu       sync.Mutex
	problems []string // what the console said
}

// open loads a page in a tab of its own, in a window of the size.
func (b browser) open(t *testing.T, url string, width, height int64) *tab {
	t.Helper()
	ctx, cancel := chromedp.NewContext(b.allocator)
	t.Cleanup(cancel)
	ctx, stop := context.WithTimeout(ctx, 6*time.Minute) // other packages' tests may have the processors
	t.Cleanup(stop)
	p := &tab{t: t, ctx: ctx}
	require.NoError(t, chromedp.Listen(ctx, func(event any) {
		p.mu.Lock()
		defer p.mu.Unlock()
		switch e := event.(type) {
		case *runtime.EventExceptionThrown:
			p.problems = append(p.problems, e.ExceptionDetails.Text+" "+e.ExceptionDetails.Exception.Description)
		case *runtime.EventConsoleAPICalled:
			p.problems = append(p.problems, "console."+string(e.Type))
		case *log.EventEntryAdded:
			p.problems = append(p.problems, e.Entry.Text)
		}
	}))
	p.do(chromedp.EmulateViewport(width, height), chromedp.Navigate(url))
	p.until("'ready' in document.documentElement.dataset")
	return p
}

func (p *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	require.NoError(p.t, chromedp.Do(p.ctx, steps...))
}

// click clicks the first element that a CSS selector finds.
func (p *tab) click(selector string) {
	p.t.Helper()
	p.do(chromedp.Click(chromedp.CSS(selector)))
}

// eval is the value of a JavaScript expression.
func eval[T any](p *tab, expression string) T {
	p.t.Helper()
	v, err := chromedp.Run(p.ctx, chromedp.Evaluate[T](expression))
	require.NoError(p.t, err, expression)
	return v
}

// until waits for a JavaScript expression to become true.
func (p *tab) until(expression string) {
	p.t.Helper()
	_, err := chromedp.Run(p.ctx, chromedp.Poll[bool]("!!("+expression+")", chromedp.WithPollingTimeout(time.Minute)))
	require.NoError(p.t, err, expression)
}

// press presses keys one after the other.
func (p *tab) press(keys ...string) {
	p.t.Helper()
	for _, k := range keys {
		p.do(chromedp.KeyEvent(k))
	}
}

// search goes to the search with the slash key and types text.
func (p *tab) search(text string) {
	p.t.Helper()
	p.press("/")
	require.Equal(p.t, "search", eval[string](p, "document.activeElement.id"))
	// The protocol types the slash although the page takes the key for itself.
	eval[any](p, "document.activeElement.value = ''")
	p.press(text)
}

// quiet asserts that the console had nothing to say.
func (p *tab) quiet() {
	p.t.Helper()
	p.mu.Lock()
	problems := slices.Clone(p.problems)
	p.mu.Unlock() // before the next question: its answer comes after events, which want the lock
	require.Empty(p.t, problems)
	require.False(p.t, eval[bool](p, "'pwned' in window"), "foreign words were run")
}

// shoot writes a screenshot beside the test's other output.
func (p *tab) shoot(name string) {
	p.t.Helper()
	b, err := chromedp.Run(p.ctx, chromedp.CaptureScreenshot())
	require.NoError(p.t, err)
	path := filepath.Join(p.t.ArtifactDir(), name+".png")
	require.NoError(p.t, os.WriteFile(path, b, 0o644))
	p.t.Log("screenshot:", path)
}

// dark emulates what the reader's system prefers.
func (p *tab) dark() {
	p.t.Helper()
	_, err := chromedp.Call(p.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: "dark"}}})
	require.NoError(p.t, err)
}

// folder writes a report with its logs.
func folder(t *testing.T, r *report.Run) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, reporttest.WriteLogs(r, dir))
	require.NoError(t, write.Folder(dir, r))
	return dir
}
