package verify

import (
	"context"
	"errors"
	"fmt"

	"github.com/ohpc-build/ohpc-build/repo/channel"
	"github.com/ohpc-build/ohpc-build/repo/sign"
	"github.com/ohpc-build/ohpc-build/repo/snapshot"
)

// Summary is what Tree has read.
type Summary struct {
	Snapshots, Channels int
}

// Tree verifies all snapshots of a published tree, and that each channel's
// mirrorlist, link, .repo file and history agree and lead to snapshots. The error
// joins all that is wrong. Snapshots that someone removes meanwhile are told as
// missing.
func Tree(ctx context.Context, root string, trusted *sign.Keyring) (Summary, error) {
	var sum Summary
	t, err := channel.Open(root, channel.Options{})
	if err != nil {
		return sum, err
	}
	defer t.Close()
	all, err := snapshot.List(root)
	problems := []error{err}
	known := map[fileID]string{}
	for _, s := range all {
		problems = append(problems, repository(ctx, s.Dir, trusted, known))
		if err := ctx.Err(); err != nil {
			return sum, err
		}
		sum.Snapshots++
	}
	pointers, err := t.Pointers()
	problems = append(problems, err)
	for _, p := range pointers {
		if err := t.Check(p); err != nil {
			problems = append(problems, fmt.Errorf("channel %s: %w", p, err))
		}
		sum.Channels++
	}
	interrupted, err := t.Interrupted()
	if interrupted {
		err = errors.New("a publish was interrupted; the next one, or repo gc, completes it")
	}
	return sum, errors.Join(append(problems, err)...)
}
