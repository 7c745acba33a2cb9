package snapshot

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"

	"github.com/ohpc-build/ohpc-build/recipes/strict"
)

// maxRefs bounds the branches and tags that are looked at.
const maxRefs = 100_000

// UnknownError says that a repository has no such branch, tag or commit.
type UnknownError struct {
	What    string // "branch or tag", "commit"
	Name    string
	Address string
	Known   []string
}

func (e *UnknownError) Error() string {
	text := fmt.Sprintf("repository %s has no %s %q", e.Address, e.What, e.Name)
	if hint := strict.DidYouMean(e.Name, e.Known); hint != "" {
		text += " (" + hint + ")"
	}
	return text
}

// AmbiguousError says that a name stands for more than one thing.
type AmbiguousError struct {
	Name    string
	Choices []string // what to say in its place
}

func (e *AmbiguousError) Error() string {
	return fmt.Sprintf("%q is ambiguous; it may be\n  %s", e.Name, strings.Join(e.Choices, "\n  "))
}

// Ref returns the commit of a branch or tag, which may be given in full, as
// refs/heads/main. The error is an *[UnknownError] or *[AmbiguousError] when
// there is no such thing, or one of each kind.
func (r *Repository) Ref(name string) (Commit, error) {
	refs, err := r.refs()
	if err != nil {
		return Commit{}, err
	}
	var found []*plumbing.Reference
	var known []string
	for _, ref := range refs {
		if string(ref.Name()) == name || ref.Name().Short() == name {
			found = append(found, ref)
		}
		known = append(known, ref.Name().Short())
	}
	switch len(found) {
	case 0:
		return Commit{}, &UnknownError{What: "branch or tag", Name: name, Address: r.address, Known: known}
	case 1:
		c, err := r.peel(found[0].Hash())
		if err != nil {
			return Commit{}, fmt.Errorf("reading %s of %s: %w", found[0].Name(), r.address, err)
		}
		return commitOf(c), nil
	}
	choices := make([]string, len(found))
	for i, ref := range found {
		choices[i] = string(ref.Name())
	}
	return Commit{}, &AmbiguousError{Name: name, Choices: choices}
}

// refs are the branches and tags, by name.
func (r *Repository) refs() ([]*plumbing.Reference, error) {
	iter, err := r.git.References()
	if err != nil {
		return nil, fmt.Errorf("reading the branches and tags of %s: %w", r.address, err)
	}
	var refs []*plumbing.Reference
	err = iter.ForEach(func(ref *plumbing.Reference) error {
		named := ref.Name().IsBranch() || ref.Name().IsTag()
		if !named || ref.Type() != plumbing.HashReference {
			return nil
		}
		refs = append(refs, ref)
		if len(refs) > maxRefs {
			return fmt.Errorf("it has more than %d", maxRefs)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading the branches and tags of %s: %w", r.address, err)
	}
	slices.SortFunc(refs, func(a, b *plumbing.Reference) int {
		return strings.Compare(string(a.Name()), string(b.Name()))
	})
	return refs, nil
}

// maxPeel bounds a chain of tags of tags.
const maxPeel = 16

// peel follows annotated tags to their commit.
func (r *Repository) peel(hash plumbing.Hash) (*object.Commit, error) {
	for range maxPeel {
		tag, err := r.git.TagObject(hash)
		if errors.Is(err, plumbing.ErrObjectNotFound) {
			return r.git.CommitObject(hash)
		}
		if err != nil {
			return nil, err
		}
		hash = tag.Target
	}
	return nil, fmt.Errorf("more than %d tags in a row", maxPeel)
}

// hexadecimal is what git takes for a hash that is cut short.
var hexadecimal = regexp.MustCompile(`^[0-9a-f]{4,40}$`)

// Commit returns the commit with a hash, of which the first digits are enough,
// at least four. The error is an *[UnknownError] or *[AmbiguousError] when they
// are those of none, or of several.
func (r *Repository) Commit(ctx context.Context, hash string) (Commit, error) {
	hash = strings.ToLower(hash)
	unknown := &UnknownError{What: "commit", Name: hash, Address: r.address}
	if !hexadecimal.MatchString(hash) {
		return Commit{}, fmt.Errorf("%q is not the hash of a commit: 4 to 40 hexadecimal digits", hash)
	}
	if len(hash) == 40 {
		full := plumbing.NewHash(hash)
		c, err := r.git.CommitObject(full)
		if errors.Is(err, plumbing.ErrObjectNotFound) {
			if err := r.commitFetched(ctx, full); err != nil {
				if ctx.Err() != nil {
					return Commit{}, context.Cause(ctx)
				}
				return Commit{}, unknown
			}
			c, err = r.git.CommitObject(full)
		}
		if err != nil {
			return Commit{}, fmt.Errorf("reading commit %s of %s: %w", hash, r.address, err)
		}
		return commitOf(c), nil
	}
	found, err := r.withPrefix(hash)
	if err != nil {
		return Commit{}, fmt.Errorf("looking for commit %s in %s: %w", hash, r.address, err)
	}
	switch len(found) {
	case 0:
		return Commit{}, unknown
	case 1:
		return found[0], nil
	}
	const shown = 8
	var choices []string
	for _, c := range found[:min(shown, len(found))] {
		choices = append(choices, fmt.Sprintf("%s %s %s", c.Hash, c.Date.Format("2006-01-02"), c.Subject))
	}
	if more := len(found) - shown; more > 0 {
		choices = append(choices, fmt.Sprintf("or one of %d more", more))
	}
	return Commit{}, &AmbiguousError{Name: hash, Choices: choices}
}

// withPrefix finds the commits whose hashes begin so, by hash. Of the objects of
// a repository only commits count.
func (r *Repository) withPrefix(prefix string) ([]Commit, error) {
	whole, err := hex.DecodeString(prefix[:len(prefix)&^1])
	if err != nil {
		return nil, err
	}
	indexed, ok := r.git.Storer.(interface {
		HashesWithPrefix(prefix []byte) ([]plumbing.Hash, error)
	})
	if !ok {
		return nil, errors.New("its objects have no index")
	}
	hashes, err := indexed.HashesWithPrefix(whole)
	if err != nil {
		return nil, err
	}
	var found []Commit
	for _, hash := range hashes {
		if !strings.HasPrefix(hash.String(), prefix) {
			continue
		}
		c, err := r.git.CommitObject(hash)
		if errors.Is(err, plumbing.ErrObjectNotFound) {
			continue // not a commit
		}
		if err != nil {
			return nil, err
		}
		found = append(found, commitOf(c))
	}
	slices.SortFunc(found, func(a, b Commit) int { return strings.Compare(a.Hash, b.Hash) })
	return slices.CompactFunc(found, func(a, b Commit) bool { return a.Hash == b.Hash }), nil
}
