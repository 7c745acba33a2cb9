package serve

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"net/http"
	"time"
)

const (
	headerTimeout = 10 * time.Second
	idleTimeout   = 2 * time.Minute
	headerBytes   = 64 << 10

	// stallTimeout is how long a client may take for the next piece of an answer.
	// A whole answer may take as long as it needs: packages are large.
	stallTimeout = 2 * time.Minute

	// goodbye is how long answers under way may go on when the server ends.
	goodbye = 5 * time.Second
)

// Serve answers on a listener until ctx ends, which is no error.
func (t *Tree) Serve(ctx context.Context, l net.Listener) error {
	server := &http.Server{
		Handler:           t,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       headerTimeout, // requests have no body
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    headerBytes,
		ErrorLog:          slog.NewLogLogger(t.log.Handler(), slog.LevelDebug),
		BaseContext:       func(net.Listener) context.Context { return context.WithoutCancel(ctx) },
	}
	done := make(chan error, 1)
	go func() { done <- server.Serve(patient{l}) }()
	select {
	case err := <-done:
		return fmt.Errorf("serving on %s: %w", l.Addr(), err)
	case <-ctx.Done():
	}
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), goodbye)
	defer cancel()
	if err := server.Shutdown(end); errors.Is(err, context.DeadlineExceeded) {
		return server.Close()
	} else if err != nil {
		return err
	}
	return nil
}

// patient gives each write its own deadline, which a deadline of the whole
// answer, as http.Server has it, cannot be.
type patient struct{ net.Listener }

func (p patient) Accept() (net.Conn, error) {
	c, err := p.Listener.Accept()
	if tcp, ok := c.(*net.TCPConn); ok && err == nil {
		return &slowConn{tcp}, nil
	}
	return c, err
}

type slowConn struct{ *net.TCPConn }

// ReadFrom lets the kernel send files, a piece for each deadline.
func (c *slowConn) ReadFrom(r io.Reader) (sent int64, err error) {
	const piece = 1 << 20
	left := int64(math.MaxInt64)
	limited, ok := r.(*io.LimitedReader)
	if ok {
		r, left = limited.R, limited.N
	}
	for left > 0 {
		if err := c.SetWriteDeadline(time.Now().Add(stallTimeout)); err != nil {
			return sent, err
		}
		n, err := c.TCPConn.ReadFrom(&io.LimitedReader{R: r, N: min(left, piece)})
		sent += n
		left -= n
		if limited != nil {
			limited.N = left
		}
		if err != nil || n < min(left+n, piece) {
			return sent, err
		}
	}
	return sent, nil
}

func (c *slowConn) Write(b []byte) (int, error) {
	if err := c.SetWriteDeadline(time.Now().Add(stallTimeout)); err != nil {
		return 0, err
	}
	return c.TCPConn.Write(b)
}
