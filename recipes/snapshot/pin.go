package snapshot

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path"
	"strings"
	"time"

	"github.com/ohpc-build/ohpc-build/recipes"
	"github.com/ohpc-build/ohpc-build/recipes/load"
	"github.com/ohpc-build/ohpc-build/recipes/strict"
)

// Write puts a lock into the file of a pin, in the catalogue in a folder. What
// people wrote above the old lock stays as it is, with their comments. The file
// is replaced in one step.
func Write(catalog, pin string, lock *recipes.Lock) (err error) {
	name := path.Join("pins", pin+".yaml")
	defer func() {
		if err != nil {
			err = fmt.Errorf("writing %s of the catalogue %s: %w", name, catalog, err)
		}
	}()
	root, err := os.OpenRoot(catalog)
	if err != nil {
		return err
	}
	defer root.Close()
	old, err := recipes.ReadFile(root.FS(), name)
	if err != nil {
		return err
	}
	text := append(settings(old), lockText(lock)...)
	p, err := load.Pin(name, text)
	if err != nil {
		return err
	}
	var before recipes.Pin
	if _, err := strict.Decode(name, old, &before); err != nil {
		return err
	}
	if p.URL != before.URL || p.Branch != before.Branch || p.Next != before.Next || p.Lock == nil || *p.Lock != *lock {
		return errors.New("keys below lock: would be lost; move them above it")
	}
	fresh := name + ".new"
	if err := root.WriteFile(fresh, text, 0o644); err != nil {
		return err
	}
	if err := root.Rename(fresh, name); err != nil {
		return errors.Join(err, root.Remove(fresh))
	}
	return nil
}

const lockComment = "# Written by `ohpc-build recipe bump`, not to be edited."

// settings are the lines of a pin's file above its lock.
func settings(text []byte) []byte {
	var kept []byte
	for line := range bytes.Lines(text) {
		plain := strings.TrimSpace(string(line))
		if plain == lockComment {
			continue
		}
		if bytes.HasPrefix(line, []byte("lock:")) {
			break
		}
		kept = append(kept, line...)
	}
	if len(kept) > 0 && kept[len(kept)-1] != '\n' {
		kept = append(kept, '\n')
	}
	return kept
}

func lockText(l *recipes.Lock) string {
	return fmt.Sprintf(`%s
lock:
  commit: %q
  date: %q
  tag: %q
  since: %d
  total: %d
  version: %q
`, lockComment, l.Commit, l.Date.UTC().Format(time.RFC3339), l.Tag, l.Since, l.Total, l.Version)
}
