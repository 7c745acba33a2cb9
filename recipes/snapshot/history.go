package snapshot

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"

	"github.com/ohpc-build/ohpc-build/recipes"
	"github.com/ohpc-build/ohpc-build/repo/rpm"
)

// Commit is a commit as a log shows it.
type Commit struct {
	Hash    string    // 40 hexadecimal digits
	Date    time.Time // when it was committed, in UTC
	Subject string    // its message's first line, printable and not too long
}

func commitOf(c *object.Commit) Commit {
	line, _, _ := strings.Cut(strings.TrimSpace(c.Message), "\n")
	// A message could hold whatever a terminal obeys.
	subject := []rune(strings.Map(func(r rune) rune {
		if r == '\t' {
			return ' '
		}
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, line))
	const longest = 100
	if len(subject) > longest {
		subject = append(subject[:longest-1], '…')
	}
	return Commit{Hash: c.Hash.String(), Date: c.Committer.When.UTC(), Subject: string(subject)}
}

// maxCommits bounds a history. Linux has 1.3 million commits.
const maxCommits = 5_000_000

// history is the commits that lead to one, itself included, with their parents.
type history map[plumbing.Hash]step

type step struct {
	parents []plumbing.Hash
	seconds int64 // of the commit's time
}

func (s step) day() int64 {
	const day = 24 * 60 * 60
	d := s.seconds / day
	if s.seconds%day < 0 {
		d--
	}
	return d
}

// errShallow is the reason why a history ends too early.
var errShallow = errors.New("its history is not complete; in a shallow clone, git fetch --unshallow brings the rest")

// historyOf reads a history, but not beyond what known has.
func (r *Repository) historyOf(ctx context.Context, hash plumbing.Hash, known history) (history, error) {
	h := history{}
	open := []plumbing.Hash{hash}
	for len(open) > 0 {
		if err := ctx.Err(); err != nil {
			return nil, context.Cause(ctx)
		}
		at := open[len(open)-1]
		open = open[:len(open)-1]
		if _, seen := h[at]; seen {
			continue
		}
		if _, seen := known[at]; seen {
			continue
		}
		c, err := r.git.CommitObject(at)
		if errors.Is(err, plumbing.ErrObjectNotFound) && len(h) > 0 {
			err = errShallow
		}
		if err != nil {
			return nil, fmt.Errorf("reading commit %s of %s: %w", at, r.address, err)
		}
		if len(h) >= maxCommits {
			return nil, fmt.Errorf("repository %s has more than %d commits", r.address, maxCommits)
		}
		h[at] = step{parents: slices.Clone(c.ParentHashes), seconds: c.Committer.When.Unix()}
		open = append(open, c.ParentHashes...)
	}
	return h, nil
}

// since counts the commits of h that do not lead to the given one, and returns
// them.
func (h history) since(tag plumbing.Hash) history {
	before := map[plumbing.Hash]bool{}
	open := []plumbing.Hash{tag}
	for len(open) > 0 {
		at := open[len(open)-1]
		open = open[:len(open)-1]
		if !before[at] {
			before[at] = true
			open = append(open, h[at].parents...)
		}
	}
	rest := history{}
	for hash, s := range h {
		if !before[hash] {
			rest[hash] = s
		}
	}
	return rest
}

// daysTell says whether the day alone tells of every commit and those before it
// which came first.
func (h history) daysTell() bool {
	for _, s := range h {
		for _, p := range s.parents {
			if parent, ok := h[p]; ok && parent.day() >= s.day() {
				return false
			}
		}
	}
	return true
}

// Lock is that of a pin at a commit, when next is the release that is on the way.
func (r *Repository) Lock(ctx context.Context, c Commit, next string) (*recipes.Lock, error) {
	all, err := r.historyOf(ctx, plumbing.NewHash(c.Hash), nil)
	if err != nil {
		return nil, err
	}
	tag, after, err := r.newestTag(all)
	if err != nil {
		return nil, err
	}
	lock := &recipes.Lock{
		Commit: c.Hash, Date: recipes.Timestamp{Time: c.Date.Truncate(time.Second)},
		Tag: tag, Since: len(after), Total: len(all),
	}
	plain, counted, err := lock.Versions(next)
	if err != nil {
		return nil, fmt.Errorf("version of commit %s: %w", c.Hash, err)
	}
	if lock.FromStart(next) {
		after = all
	}
	lock.Version = counted
	if after.daysTell() {
		lock.Version = plain
	}
	return lock, nil
}

// newestTag is the tag with the highest version in a history, and the commits
// since. The nearest one, as git describe takes it, can be that of an older
// release that was merged; its version would go backwards. Of several tags of
// one version it is the one with the most commits since: another that is added
// later must not let the count start anew.
func (r *Repository) newestTag(h history) (tag string, after history, err error) {
	refs, err := r.refs()
	if err != nil {
		return "", nil, err
	}
	type release struct {
		name, version string
		commit        plumbing.Hash
	}
	var newest []release
	for _, ref := range refs {
		name := ref.Name().Short()
		version, ok := recipes.TagVersion(name)
		if !ref.Name().IsTag() || !ok {
			continue
		}
		order := 1
		if len(newest) > 0 {
			order = rpm.CompareVersions(version, newest[0].version)
		}
		if order < 0 {
			continue
		}
		c, err := r.peel(ref.Hash())
		if err != nil {
			continue // a tag of a file or a folder, or of what is not there, is no release
		}
		if _, in := h[c.Hash]; !in {
			continue
		}
		if order > 0 {
			newest = nil
		}
		newest = append(newest, release{name, version, c.Hash})
	}
	const most = 8 // tags of one version that are counted for
	after = h
	for i, t := range newest[:min(most, len(newest))] {
		// refs are sorted: of tags of one commit it is always the same.
		if rest := h.since(t.commit); i == 0 || len(rest) > len(after) {
			tag, after = t.name, rest
		}
	}
	return tag, after, nil
}

// Log is what lies between two commits.
type Log struct {
	Commits []Commit // in the new one's history but not in the old one's, the newest first; the first ones
	Total   int      // how many there are
	Left    int      // commits in the old one's history that the new one's has not
}

// Log returns what came between two commits, with at most limit of the commits
// themselves. The error is an *[UnknownError] when the old one is not there.
func (r *Repository) Log(ctx context.Context, before, after string, limit int) (*Log, error) {
	from, to := plumbing.NewHash(before), plumbing.NewHash(after)
	if _, err := r.git.CommitObject(from); err != nil {
		return nil, &UnknownError{What: "commit", Name: before, Address: r.address}
	}
	old, err := r.historyOf(ctx, from, nil)
	if err != nil {
		return nil, err
	}
	added, err := r.historyOf(ctx, to, old)
	if err != nil {
		return nil, err
	}
	log := &Log{Total: len(added)}
	if _, follows := added[to]; !follows || !added.leadsTo(from) {
		now, err := r.historyOf(ctx, to, nil)
		if err != nil {
			return nil, err
		}
		for hash := range old {
			if _, still := now[hash]; !still {
				log.Left++
			}
		}
	}
	for _, hash := range added.newestFirst(to, limit) {
		c, err := r.git.CommitObject(hash)
		if err != nil {
			return nil, fmt.Errorf("reading commit %s of %s: %w", hash, r.address, err)
		}
		log.Commits = append(log.Commits, commitOf(c))
	}
	return log, nil
}

// leadsTo says whether a commit of h has the given one as a parent.
func (h history) leadsTo(hash plumbing.Hash) bool {
	for _, s := range h {
		if slices.Contains(s.parents, hash) {
			return true
		}
	}
	return false
}

// newestFirst lists commits so that none stands before one that it led to, and
// otherwise by their time.
func (h history) newestFirst(tip plumbing.Hash, limit int) []plumbing.Hash {
	if _, ok := h[tip]; !ok {
		return nil
	}
	children := map[plumbing.Hash]int{}
	for _, s := range h {
		for _, p := range s.parents {
			children[p]++
		}
	}
	ready := []plumbing.Hash{tip}
	var list []plumbing.Hash
	for len(ready) > 0 && len(list) < limit {
		slices.SortFunc(ready, func(a, b plumbing.Hash) int {
			if d := h[a].seconds - h[b].seconds; d != 0 {
				return int(d / max(d, -d))
			}
			return strings.Compare(a.String(), b.String())
		})
		at := ready[len(ready)-1]
		ready = ready[:len(ready)-1]
		list = append(list, at)
		for _, p := range h[at].parents {
			children[p]--
			if _, ok := h[p]; ok && children[p] == 0 {
				ready = append(ready, p)
			}
		}
	}
	return list
}
