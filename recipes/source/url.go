package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/ohpc-build/ohpc-build/internal/store"
	"github.com/ohpc-build/ohpc-build/recipes"
)

func newClient(o options) *http.Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.DialContext = (&net.Dialer{Timeout: o.stall}).DialContext
	transport.ResponseHeaderTimeout = o.stall
	// The bytes must be those of the file, not what is inside of them.
	transport.DisableCompression = true
	return &http.Client{Transport: transport}
}

// fetchURL tries a source's address and then its mirrors.
func (f *Fetcher) fetchURL(ctx context.Context, s recipes.Source, want store.Digest) (store.Digest, error) {
	failure := &FetchError{Source: s.File}
	for _, place := range append([]string{s.URL}, s.Mirrors...) {
		d, err := f.patiently(ctx, func() (store.Digest, error) { return f.download(ctx, s, place, want) })
		if err == nil {
			return d, nil
		}
		if ctx.Err() != nil {
			return "", context.Cause(ctx)
		}
		failure.Tries = append(failure.Tries, Try{place, err})
	}
	return "", failure
}

// patiently asks again while the answer may be another one next time.
func (f *Fetcher) patiently(ctx context.Context, ask func() (store.Digest, error)) (store.Digest, error) {
	wait := f.options.wait
	for try := 1; ; try++ {
		d, err := ask()
		if err == nil || try >= f.options.retries || !passing(err) {
			if err != nil && try > 1 {
				err = fmt.Errorf("%w (tried %d times)", err, try)
			}
			return d, err
		}
		select {
		case <-ctx.Done():
			return "", context.Cause(ctx)
		case <-time.After(wait):
		}
		wait *= 2
	}
}

// passing says whether an error may go away by itself.
func passing(err error) bool {
	var status *StatusError
	var digest *DigestError
	var size *SizeError
	switch {
	case errors.As(err, &status):
		return status.Code >= 500 || status.Code == http.StatusTooManyRequests || status.Code == http.StatusRequestTimeout
	case errors.As(err, &digest), errors.As(err, &size):
		return false
	default:
		return true // the network's, or a file cut short
	}
}

// StatusError is a server's refusal.
type StatusError struct{ Code int }

func (e *StatusError) Error() string {
	return fmt.Sprintf("the server says %d %s", e.Code, http.StatusText(e.Code))
}

func (f *Fetcher) download(ctx context.Context, s recipes.Source, place string, want store.Digest) (store.Digest, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, place, http.NoBody)
	if err != nil {
		return "", err
	}
	req.Header.Set("User-Agent", "ohpc-build")
	resp, err := f.client.Do(req)
	if err != nil {
		return "", plain(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return "", &StatusError{resp.StatusCode}
	}
	if resp.ContentLength > f.options.maxSize {
		return "", &SizeError{Limit: f.options.maxSize}
	}
	body := &watched{r: resp.Body, limit: f.options.stall, cancel: cancel}
	body.timer = time.AfterFunc(body.limit, body.expire)
	defer body.timer.Stop()
	d, err := f.keep(ctx, s, place, want, body)
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return d, err
}

// watched ends a download whose server has fallen silent.
type watched struct {
	r      io.Reader
	limit  time.Duration
	timer  *time.Timer
	cancel context.CancelCauseFunc
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.r.Read(p)
	w.timer.Reset(w.limit)
	return n, err
}

func (w *watched) expire() {
	w.cancel(fmt.Errorf("the server sent nothing for %s", w.limit))
}

// plain takes the method and address off an HTTP client's error: who reports it
// names the place.
func plain(err error) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		return wrapped.Err
	}
	return err
}
