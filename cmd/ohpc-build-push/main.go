// Command ohpc-build-push copies a published tree to cloud storage. It is the part of
// ohpc-build that holds the providers' libraries; ohpc-build repo push starts it
// and tells it on standard input what to do.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"gocloud.dev/blob"
	_ "gocloud.dev/blob/azureblob" // azblob://container
	_ "gocloud.dev/blob/fileblob"  // file:///folder
	_ "gocloud.dev/blob/gcsblob"   // gs://bucket
	_ "gocloud.dev/blob/s3blob"    // s3://bucket

	"github.com/ohpc-build/ohpc-build/repo/remote"
	"github.com/ohpc-build/ohpc-build/repo/remote/order"
)

// The exit statuses are ohpc-build's.
const (
	exitFailed      = 1
	exitUsage       = 2
	exitHost        = 3
	exitInterrupted = 130
)

// errStorage is a mistake in what the order says of the storage.
var errStorage = errors.New("opening the storage")

func main() { os.Exit(status()) }

// status carries out the order on standard input.
func status() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	o, err := order.Read(os.Stdin)
	if err == nil {
		err = run(ctx, o, os.Stdout, os.Stderr)
	} else {
		err = fmt.Errorf("%w; this program is started by ohpc-build repo push", err)
	}
	switch {
	case err == nil:
		return 0
	case ctx.Err() != nil:
		return exitInterrupted
	}
	fmt.Fprintln(os.Stderr, err)
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return exitHost
	case errors.Is(err, errStorage):
		return exitUsage
	}
	return exitFailed
}

// withCredentials says of an error of storage that wants credentials where they are
// looked for. Only S3's are looked for that late, and it has only words for it.
func withCredentials(err error) error {
	if err == nil || !strings.Contains(err.Error(), "get credentials: ") {
		return err
	}
	return fmt.Errorf("%w: it wants credentials, and none were found: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile in ~/.aws (AWS_PROFILE), name them: %w", errStorage, err)
}

// open opens the storage. In a folder, files are made beside their places: a rename
// from another file system would fail.
func open(ctx context.Context, storage string) (*blob.Bucket, error) {
	u, err := url.Parse(storage)
	if err != nil {
		return nil, err
	}
	if u.Scheme == "file" {
		q := u.Query()
		q.Set("create_dir", "true")
		q.Set("no_tmp_dir", "true")
		u.RawQuery = q.Encode()
	}
	return blob.OpenBucket(ctx, u.String())
}

func run(ctx context.Context, o order.Order, out, log io.Writer) error {
	bucket, err := open(ctx, o.Storage)
	if err != nil {
		return fmt.Errorf("%w %s: %w", errStorage, o.Storage, err)
	}
	if o.Prefix != "" {
		bucket = blob.PrefixedBucket(bucket, o.Prefix+"/")
	}
	defer bucket.Close() //nolint:errcheck // each write has told how it went
	level := slog.LevelWarn
	if o.Verbose {
		level = slog.LevelInfo
	}
	c, err := remote.New(o.Root, bucket, remote.Options{
		Wait: o.Wait, TakeOver: o.TakeOver, Log: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: level})),
	})
	if err != nil {
		return err
	}
	sum, err := c.Push(ctx, o.Pointers...)
	if err != nil {
		return withCredentials(err)
	}
	fmt.Fprintf(out, "files: %d sent (%d bytes), %d copied there; channels moved: %d\n", sum.Uploaded, sum.Bytes, sum.Copied, len(sum.Moved))
	if o.Verify {
		if err := c.Verify(ctx, o.Pointers...); err != nil {
			return err
		}
		fmt.Fprintln(out, "the storage holds what is published here, byte by byte")
	}
	if o.Prune {
		sum, err := c.Prune(ctx, o.Retain)
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "files removed: %d\n", sum.Removed)
	}
	return nil
}
