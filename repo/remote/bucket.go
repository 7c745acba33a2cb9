package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"gocloud.dev/blob"
	"gocloud.dev/gcerrors"

	"github.com/ohpc-build/ohpc-build/repo/layout"
)

// list are the objects below a prefix, by the rest of their names.
func (c *Copy) list(ctx context.Context, prefix string) (map[string]*blob.ListObject, error) {
	objects := map[string]*blob.ListObject{}
	it := c.bucket.List(&blob.ListOptions{Prefix: prefix})
	for {
		var o *blob.ListObject
		err := c.patience.with(ctx, func(ctx context.Context, _ func()) (err error) {
			o, err = it.Next(ctx)
			return err
		})
		if errors.Is(err, io.EOF) {
			return objects, nil
		}
		if err != nil {
			return nil, fmt.Errorf("listing %s in the storage: %w", prefix, err)
		}
		objects[strings.TrimPrefix(o.Key, prefix)] = o
	}
}

// get reads a small object; nil when there is none.
func (c *Copy) get(ctx context.Context, key string) (b []byte, err error) {
	const limit = 1 << 20
	err = c.patience.with(ctx, func(ctx context.Context, _ func()) error {
		r, err := c.bucket.NewRangeReader(ctx, key, 0, limit+1, nil)
		if err != nil {
			return err
		}
		defer r.Close() //nolint:errcheck // it was only read
		b, err = io.ReadAll(r)
		return err
	})
	if gcerrors.Code(err) == gcerrors.NotFound {
		return nil, nil
	}
	if err == nil && len(b) > limit {
		err = fmt.Errorf("it has more than %d bytes", limit)
	}
	if err != nil {
		return nil, fmt.Errorf("reading %s in the storage: %w", key, err)
	}
	return b, nil
}

// put writes a small object that may change later.
func (c *Copy) put(ctx context.Context, key string, b []byte) error {
	err := c.patience.with(ctx, func(ctx context.Context, _ func()) error {
		return c.bucket.WriteAll(ctx, key, b, &blob.WriterOptions{ContentType: "text/plain; charset=utf-8", CacheControl: "no-cache"})
	})
	if err != nil {
		return fmt.Errorf("writing %s in the storage: %w", key, err)
	}
	return nil
}

// delete removes an object, if it is there.
func (c *Copy) delete(ctx context.Context, key string) error {
	err := c.patience.with(ctx, func(ctx context.Context, _ func()) error { return c.bucket.Delete(ctx, key) })
	if err != nil && gcerrors.Code(err) != gcerrors.NotFound {
		return fmt.Errorf("removing %s in the storage: %w", key, err)
	}
	return nil
}

// upload sends a snapshot's file.
func (c *Copy) upload(ctx context.Context, key, file string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	err = c.patience.working().with(ctx, func(ctx context.Context, progress func()) error {
		return c.bucket.Upload(ctx, key, movingFile{f, progress}, &blob.WriterOptions{
			ContentType: contentType(key),
			// Of what a plain baseurl reads, copies are made, and those do change;
			// asking again costs little and is never wrong.
			CacheControl: "no-cache",
		})
	})
	if err != nil {
		return fmt.Errorf("sending %s to the storage: %w", key, err)
	}
	return nil
}

func contentType(name string) string {
	switch {
	case strings.HasSuffix(name, ".rpm"):
		return "application/x-rpm"
	case strings.HasSuffix(name, ".xml"):
		return "text/xml; charset=utf-8"
	case strings.HasSuffix(name, ".asc"), strings.HasSuffix(name, ".key"), strings.HasSuffix(name, ".repo"), layout.IsKeyFile(name[strings.LastIndexByte(name, '/')+1:]):
		return "text/plain; charset=utf-8"
	case strings.HasSuffix(name, ".json"):
		return "application/json"
	}
	return "application/octet-stream"
}
