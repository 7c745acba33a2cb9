package standing

import (
	"fmt"
	"log/slog"
	"maps"
	"slices"

	"github.com/ohpc-build/ohpc-build/internal/store"
	"github.com/ohpc-build/ohpc-build/repo/channel"
	"github.com/ohpc-build/ohpc-build/repo/layout"
)

// Carried is what the packages of a repository carry that only its run knows: the
// standing of its cells, where it is published and its key. It changes without any
// recipe. What has changed must have a new release or nobody gets it, so it has a number
// that their releases end with.
type Carried struct {
	Told   string `json:"told,omitempty"`   // the digest of it; "" when no package carries any
	Serial int    `json:"serial,omitempty"` // the number; 0 of what a tree had first
}

// maxSerial bounds what is believed: a number that can still grow.
const maxSerial = 1_000_000_000

// Tell is the digest of what packages carry, by name.
func Tell(carried map[string][]byte) string {
	if len(carried) == 0 {
		return ""
	}
	var all []byte
	for _, name := range slices.Sorted(maps.Keys(carried)) {
		all = fmt.Appendf(all, "%q %s\n", name, store.Of(carried[name]))
	}
	return string(store.Of(all))
}

// Number gives its number to what the packages of a channel are to carry: the one it has
// in the channel; otherwise one that is greater than all that the target's snapshots are
// known to have, in whatever channel, so that it does not fall with any move. If the
// greatest already means the same, it is that one: a run that is repeated finds the
// number that it gave, and the next channel that of the first.
func Number(tree *channel.Tree, p layout.Pointer, told string, log *slog.Logger) (Carried, error) {
	c := Carried{Told: told}
	if told == "" {
		return c, nil
	}
	current, _, err := Published(tree, p)
	if err != nil {
		return c, err
	}
	if current.Told == told {
		return current.Carried, nil
	}
	ids, err := tree.Noted(p.Target)
	if err != nil {
		return c, err
	}
	same := true // as what has the greatest
	for _, id := range ids {
		d, known, err := Noted(tree, p.Target, id)
		if err != nil {
			log.Warn("what was noted of a snapshot's standing cannot be read, and does not count", "target", p.Target, "snapshot", id, "error", err)
			continue
		}
		switch {
		case !known: // collected meanwhile
		case d.Serial > c.Serial:
			c.Serial, same = d.Serial, d.Told == told
		case d.Serial == c.Serial:
			same = same && d.Told == told
		}
	}
	if !same {
		c.Serial++
	}
	return c, nil
}
