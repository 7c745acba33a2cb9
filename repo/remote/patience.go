package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// patience bounds how long the storage may say nothing. The providers' libraries
// retry errors, but wait for ever for a server that takes a request and never
// answers.
type patience time.Duration

var errSilent = errors.New("the storage does not answer")

// Storage copies an object of gigabytes before it answers, and writes down what was
// sent to it.
const workFactor = 5

// with does something for which the storage has that long; each call of progress
// gives it as long again.
func (p patience) with(ctx context.Context, do func(ctx context.Context, progress func()) error) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	timer := time.AfterFunc(time.Duration(p), func() { stop(errSilent) })
	defer timer.Stop()
	err := do(ctx, func() { timer.Reset(time.Duration(p)) })
	if err != nil && errors.Is(context.Cause(ctx), errSilent) {
		return fmt.Errorf("%w (waited %s)", errSilent, time.Duration(p))
	}
	return err
}

// working is the patience with requests that are work for the storage.
func (p patience) working() patience { return p * workFactor }

// moving tells of each piece that is read.
type moving struct {
	io.Reader
	progress func()
}

func (m moving) Read(b []byte) (int, error) {
	m.progress()
	return m.Reader.Read(b)
}

// movingFile is moving for a file, parts of which are read side by side and, when
// they have to be sent again, once more.
type movingFile struct {
	f        *os.File
	progress func()
}

func (m movingFile) Read(b []byte) (int, error) {
	m.progress()
	return m.f.Read(b)
}

func (m movingFile) ReadAt(b []byte, at int64) (int, error) {
	m.progress()
	return m.f.ReadAt(b, at)
}

func (m movingFile) Seek(offset int64, whence int) (int64, error) { return m.f.Seek(offset, whence) }
