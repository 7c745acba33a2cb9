package source

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/ohpc-build/ohpc-build/internal/store"
	"github.com/ohpc-build/ohpc-build/recipes"
)

// fetchDebian gets a file of a Debian source package from the first mirror that
// has it as it should be.
func (f *Fetcher) fetchDebian(ctx context.Context, s recipes.Source, want store.Digest) (store.Digest, error) {
	for _, name := range []string{s.Debian.Suite, s.Debian.Package, s.Debian.Version} {
		if name == "" || strings.HasPrefix(name, "-") || strings.ContainsAny(name, " \t\n/=[]") {
			return "", fmt.Errorf("source %s: %q is not a name that Debian's archive has", s.File, name)
		}
	}
	failure := &FetchError{Source: s.File}
	mirrors, err := f.debian.Mirrors(ctx, s.Debian.Suite)
	if err != nil {
		failure.Tries = append(failure.Tries, Try{"Debian's archive", err})
	}
	for _, mirror := range mirrors {
		d, err := f.fetchFromMirror(ctx, s, mirror, want)
		if err == nil {
			return d, nil
		}
		failure.Tries = append(failure.Tries, Try{mirror + " " + s.Debian.Suite, err})
	}
	if ctx.Err() != nil {
		return "", context.Cause(ctx)
	}
	return "", failure
}

func (f *Fetcher) fetchFromMirror(ctx context.Context, s recipes.Source, mirror string, want store.Digest) (store.Digest, error) {
	tmp, err := f.store.Temp("debian-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(tmp)
	if err := f.debian.Download(ctx, mirror, *s.Debian, tmp); err != nil {
		return "", err
	}
	file, err := os.Open(filepath.Join(tmp, s.Debian.File))
	if err != nil {
		return "", err
	}
	defer file.Close()
	return f.keep(ctx, s, mirror, want, file)
}
