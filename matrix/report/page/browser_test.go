package page_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
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

// browser is Chromium with the one tab that is drawn: others would wait for frames
// for ever.
type browser struct{ ctx context.Context }

// patience bounds what is waited for: other packages' tests may have the processors.
const patience = 3 * time.Minute

// start starts Chromium.
func start(t *testing.T) browser {
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
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-dev-shm-usage", true), chromedp.WSURLReadTimeout(patience))
	ctx, stop := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(stop)
	ctx, cancel := chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	require.NoError(t, chromedp.Do(ctx), "starting %s", path)
	return browser{ctx}
}

// tab is the page that is open.
type tab struct {
	t   *testing.T
	ctx context.Context

	mu       sync.Mutex
	problems []string // what the console said
}

// open loads a page in a window of the size. It knows nothing of the page before.
func (b browser) open(t *testing.T, url string, width, height int64) *tab {
	t.Helper()
	ctx, stop := context.WithTimeout(b.ctx, 2*patience)
	t.Cleanup(stop)
	p := &tab{t: t, ctx: ctx}
	eval[any](p, "try { localStorage.clear() } catch {}")
	_, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{})
	require.NoError(t, err)
	p.do(chromedp.Navigate("about:blank")) // another fragment of the same page would not load it
	require.NoError(t, chromedp.Listen(ctx, p.listen))
	p.do(chromedp.EmulateViewport(width, height), chromedp.Navigate(url))
	p.until("'ready' in document.documentElement.dataset")
	return p
}

// listen notes what the console says. It must not wait: answers come after events.
func (p *tab) listen(event any) {
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
}

// size gives the window a size.
func (p *tab) size(width, height int64) {
	p.t.Helper()
	p.do(chromedp.EmulateViewport(width, height))
	p.until(fmt.Sprintf("innerWidth === %d && innerHeight === %d", width, height))
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
	var err error
	for begun := time.Now(); time.Since(begun) < patience; {
		_, err = chromedp.Run(p.ctx, chromedp.Poll[bool]("!!("+expression+")", chromedp.WithPollingTimeout(patience)))
		// The page that was asked may have gone for the one that is waited for.
		if err == nil || !strings.Contains(err.Error(), "context with specified id") && !strings.Contains(err.Error(), "context was destroyed") {
			break
		}
	}
	require.NoError(p.t, err, "%s\nconsole: %q", expression, p.said())
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

// said is what the console has said so far.
func (p *tab) said() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.problems)
}

// quiet asserts that the console had nothing to say.
func (p *tab) quiet() {
	p.t.Helper()
	require.Empty(p.t, p.said())
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
	p.until("matchMedia('(prefers-color-scheme: dark)').matches")
}

// folder writes a report with its logs.
func folder(t *testing.T, r *report.Run) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, reporttest.WriteLogs(r, dir))
	require.NoError(t, write.Folder(dir, r))
	return dir
}
