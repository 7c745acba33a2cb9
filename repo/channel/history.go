package channel

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"time"

	"github.com/ohpc-build/ohpc-build/repo/layout"
)

// Entry is one publication in a channel's history.
type Entry struct {
	ID   string    `json:"id"`
	Time time.Time `json:"time"`
	From string    `json:"from"` // the channel that it was promoted from; Made, or RolledBack
}

// Where a publication comes from that was no promotion.
const (
	Made       = "made"
	RolledBack = "rollback"
)

// maxHistory bounds what is kept and written anew by each publication.
const maxHistory = 1000

type history struct {
	Version int     `json:"version"`
	Entries []Entry `json:"entries"`
}

const historyVersion = 1

func historyFile(p layout.Pointer) string {
	return path.Join(layout.Private, p.Release, string(p.Channel), p.Target+".json")
}

// History is what was published in a channel, the current snapshot last.
func (t *Tree) History(p layout.Pointer) ([]Entry, error) {
	if err := p.Check(); err != nil {
		return nil, err
	}
	b, err := t.read(historyFile(p))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var h history
	if err == nil {
		err = json.Unmarshal(b, &h)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the history of %s (%s): %w; move that file away, and to publish the current snapshot again begins another one",
			p, filepath.Join(t.dir, filepath.FromSlash(historyFile(p))), err)
	}
	if h.Version != historyVersion {
		return nil, fmt.Errorf("reading the history of %s: it is version %d, this program reads %d", p, h.Version, historyVersion)
	}
	return h.Entries, nil
}

func encodeHistory(entries []Entry) ([]byte, error) {
	if len(entries) > maxHistory {
		entries = entries[len(entries)-maxHistory:]
	}
	b, err := json.MarshalIndent(history{historyVersion, entries}, "", " ")
	return append(b, '\n'), err
}

// Previous is the snapshot that a rollback returns to: the one before the current
// one, where what was rolled back counts as never published. Rolling back twice
// goes two steps back.
func Previous(entries []Entry) (Entry, bool) {
	var stack []Entry
	for _, e := range entries {
		if e.From == RolledBack {
			if i := slices.IndexFunc(stack, func(s Entry) bool { return s.ID == e.ID }); i >= 0 {
				stack = stack[:i+1]
				continue
			}
		}
		if len(stack) == 0 || stack[len(stack)-1].ID != e.ID {
			stack = append(stack, e)
		}
	}
	if len(stack) < 2 {
		return Entry{}, false
	}
	return stack[len(stack)-2], true
}

// maxEarlier is how many snapshots a mirrorlist names beside the current one.
const maxEarlier = 15

// earlier are the snapshots that were current since a time, the last one first.
// Clients may still have their metadata. The last entry is the current one.
func earlier(entries []Entry, since time.Time) []string {
	var ids []string
	for i := len(entries) - 2; i >= 0 && len(ids) < maxEarlier; i-- {
		if entries[i+1].Time.Before(since) { // when it was replaced
			break
		}
		if id := entries[i].ID; id != entries[len(entries)-1].ID && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids
}
