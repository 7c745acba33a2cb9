package repodata

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/ohpc-build/ohpc-build/repo/rpmmd"
)

// web is a repository on a web server.
type web struct {
	base   *url.URL
	client *http.Client
}

const (
	// answerTimeout bounds how long a server may take to begin an answer,
	// downloadTimeout how long it may take for all of it.
	answerTimeout   = 30 * time.Second
	downloadTimeout = 15 * time.Minute
	idleTimeout     = 5 * time.Second // until a connection is closed that may be used again
	maxRedirects    = 10
)

// errAbsent is a server's word that there is no such file.
var errAbsent = errors.New("the server says")

func newWeb(base *url.URL) *web {
	transport := &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		ForceAttemptHTTP2:     true,
		TLSHandshakeTimeout:   answerTimeout,
		ResponseHeaderTimeout: answerTimeout,
		DisableCompression:    true, // data files are what their digests say
		IdleConnTimeout:       idleTimeout,
	}
	return &web{base: base, client: &http.Client{Transport: transport, Timeout: downloadTimeout, CheckRedirect: redirect}}
}

// redirect follows mirrors, but not away from TLS: nothing else protects
// repomd.xml on its way.
func redirect(req *http.Request, via []*http.Request) error {
	if len(via) >= maxRedirects {
		return fmt.Errorf("there are more than %d redirects", maxRedirects)
	}
	if via[0].URL.Scheme == "https" && req.URL.Scheme != "https" {
		return errors.New("the server redirects from https to " + req.URL.Scheme)
	}
	return nil
}

func (w *web) open(ctx context.Context, path string) (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, w.base.JoinPath(path).String(), http.NoBody)
	if err != nil {
		return nil, fmt.Errorf("downloading %s: %w", w.describe(path), err)
	}
	req.Header.Set("User-Agent", "ohpc-build")
	resp, err := w.client.Do(req)
	if err != nil {
		var u *url.Error
		if errors.As(err, &u) {
			err = u.Err // it repeats the address
		}
		return nil, fmt.Errorf("downloading %s: %w", w.describe(path), err)
	}
	if resp.StatusCode != http.StatusOK {
		resp.Body.Close()
		hint := ""
		switch {
		case resp.StatusCode != http.StatusNotFound:
		case path == rpmmd.RepomdFile:
			hint = "; name the folder that holds " + rpmmd.Dir
		default:
			hint = "; if it was published anew a moment ago, try again"
		}
		if resp.StatusCode == http.StatusNotFound {
			return nil, fmt.Errorf("downloading %s: %w %q%s", w.describe(path), errAbsent, resp.Status, hint)
		}
		return nil, fmt.Errorf("downloading %s: the server says %q%s", w.describe(path), resp.Status, hint)
	}
	return resp.Body, nil
}

func (w *web) describe(path string) string { return w.base.JoinPath(path).Redacted() }
