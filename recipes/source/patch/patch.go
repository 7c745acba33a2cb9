package patch

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"path"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"
)

const (
	// maxFiles bounds the files that a commit may change.
	maxFiles = 10_000
	// maxFile bounds each of them in bytes, before and after.
	maxFile = 32 << 20
)

// Write writes the change of a commit against its only parent.
func Write(ctx context.Context, w io.Writer, commit *object.Commit) error {
	switch n := commit.NumParents(); {
	case n == 0:
		return errors.New("it is the first commit of its history: there is nothing that it changes")
	case n > 1:
		return fmt.Errorf("it is a merge of %d commits: name the commits that it merged, each as a patch of its own", n)
	}
	parent, err := commit.Parent(0)
	if err != nil {
		return fmt.Errorf("reading its parent %s: %w", commit.ParentHashes[0], err)
	}
	changes, err := changesOf(ctx, parent, commit)
	if err != nil {
		return err
	}
	if _, err := io.WriteString(w, header(commit)); err != nil {
		return err
	}
	for _, c := range changes {
		if err := c.write(ctx, w); err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
	}
	return nil
}

// header is the beginning of a mail as git am expects it. Of the message there
// is the subject only: a body could hold what patch(1) takes for a change.
func header(c *object.Commit) string {
	subject, _, _ := strings.Cut(strings.TrimSpace(c.Message), "\n")
	text := fmt.Sprintf("From %s Mon Sep 17 00:00:00 2001\nFrom: %s\nDate: %s\nSubject: [PATCH] %s\n\n---\n\n",
		c.Hash, author(c.Author.Name, c.Author.Email), c.Author.When.Format("Mon, 2 Jan 2006 15:04:05 -0700"),
		mime.QEncoding.Encode("utf-8", oneLine(subject)))
	return strings.ReplaceAll(text, "\r\n", "\n") // mime folds long words as mail servers want it
}

// author is a name and an address as mails have them.
func author(name, address string) string {
	name, address = oneLine(name), strings.Map(func(r rune) rune {
		if r <= ' ' || r >= 0x7f || strings.ContainsRune(`<>()[],;:\"`, r) {
			return -1
		}
		return r
	}, oneLine(address))
	name = cmp.Or(name, address, "unknown")
	switch {
	case strings.ContainsFunc(name, func(r rune) bool { return r >= 0x7f }):
		name = mime.BEncoding.Encode("utf-8", name)
	case strings.ContainsAny(name, `<>()[],;:\".@=?`):
		name = `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(name) + `"`
	}
	return fmt.Sprintf("%s <%s>", name, address)
}

// change is one file before and after; a mode of zero is none.
type change struct {
	name     string
	from, to side
}

type side struct {
	mode filemode.FileMode
	hash plumbing.Hash
	blob *object.Blob
}

// changesOf lists what differs between the trees of two commits, by name. What
// turns from a file into a link, or back, goes and comes again.
func changesOf(ctx context.Context, parent, commit *object.Commit) ([]change, error) {
	before, err := parent.Tree()
	if err != nil {
		return nil, fmt.Errorf("reading the tree of its parent %s: %w", parent.Hash, err)
	}
	after, err := commit.Tree()
	if err != nil {
		return nil, fmt.Errorf("reading its tree: %w", err)
	}
	differences, err := object.DiffTreeContext(ctx, before, after)
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("comparing its tree with that of its parent: %w", err)
	}
	switch {
	case len(differences) == 0:
		return nil, errors.New("it changes no file")
	case len(differences) > maxFiles:
		return nil, fmt.Errorf("it changes %d files, more than %d", len(differences), maxFiles)
	}
	var changes []change
	for _, d := range differences {
		from, err := sideOf(d.From)
		if err != nil {
			return nil, err
		}
		to, err := sideOf(d.To)
		if err != nil {
			return nil, err
		}
		c := change{name: d.To.Name, from: from, to: to}
		if c.name == "" {
			c.name = d.From.Name
		}
		if from.mode != 0 && to.mode != 0 && (from.mode == filemode.Symlink) != (to.mode == filemode.Symlink) {
			changes = append(changes, change{name: c.name, from: from}, change{name: c.name, to: to})
			continue
		}
		changes = append(changes, c)
	}
	slices.SortStableFunc(changes, func(a, b change) int {
		return strings.Compare(a.name, b.name)
	})
	return changes, checkFolders(changes)
}

// checkFolders refuses files that take the place of folders and the other way
// round: patch(1) removes files last.
func checkFolders(changes []change) error {
	come, gone := map[string]bool{}, map[string]bool{}
	for _, c := range changes {
		come[c.name] = come[c.name] || c.from.mode == 0
		gone[c.name] = gone[c.name] || c.to.mode == 0
	}
	for _, c := range changes {
		for dir := path.Dir(c.name); dir != "."; dir = path.Dir(dir) {
			if come[c.name] && gone[dir] || gone[c.name] && come[dir] {
				return fmt.Errorf("%s: a file takes the place of a folder, or a folder that of a file, which patch(1) cannot do", dir)
			}
		}
	}
	return nil
}

// sideOf is one end of a difference between trees.
func sideOf(e object.ChangeEntry) (side, error) {
	if e.Name == "" {
		return side{}, nil
	}
	if err := checkName(e.Name); err != nil {
		return side{}, err
	}
	mode := e.TreeEntry.Mode
	switch mode { //nolint:exhaustive // the default refuses the rest
	case filemode.Regular, filemode.Deprecated:
		mode = filemode.Regular
	case filemode.Executable, filemode.Symlink:
	case filemode.Submodule:
		return side{}, fmt.Errorf("%s: it is a submodule, which a patch cannot change", e.Name)
	default:
		return side{}, fmt.Errorf("%s: it has the unknown mode %s", e.Name, mode)
	}
	file, err := e.Tree.TreeEntryFile(&e.TreeEntry)
	if err != nil {
		return side{}, fmt.Errorf("reading %s: %w", e.Name, err)
	}
	return side{mode: mode, hash: file.Hash, blob: &file.Blob}, nil
}

// checkName refuses paths that would lead a patch out of the sources.
func checkName(name string) error {
	for part := range strings.SplitSeq(name, "/") {
		if part == "" || part == "." || part == ".." || strings.EqualFold(part, ".git") || strings.ContainsRune(part, 0) {
			return fmt.Errorf("%q is not a name that git allows", name)
		}
	}
	return nil
}

// content reads one side, and holds it against its hash.
func (s side) content() ([]byte, error) {
	if s.mode == 0 {
		return nil, nil
	}
	r, err := s.blob.Reader()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	data, err := io.ReadAll(io.LimitReader(r, maxFile+1))
	switch {
	case err != nil:
		return nil, err
	case len(data) > maxFile:
		return nil, fmt.Errorf("it is larger than %d MiB", maxFile>>20)
	case plumbing.ComputeHash(plumbing.BlobObject, data) != s.hash:
		return nil, fmt.Errorf("its content is not that of object %s", s.hash)
	case bytes.IndexByte(data, 0) >= 0:
		return nil, errors.New("it is a binary file, which patch(1) cannot change: put it into SOURCES/ and install it in the spec")
	}
	return data, nil
}

func (c change) write(ctx context.Context, w io.Writer) error {
	before, err := c.from.content()
	if err != nil {
		return err
	}
	after, err := c.to.content()
	if err != nil {
		return err
	}
	var b bytes.Buffer
	old, updated := quoted("a/"+c.name), quoted("b/"+c.name)
	fmt.Fprintf(&b, "diff --git %s %s\n", old, updated)
	mode := ""
	switch {
	case c.from.mode == 0:
		fmt.Fprintf(&b, "new file mode %o\n", c.to.mode)
		old = "/dev/null"
	case c.to.mode == 0:
		fmt.Fprintf(&b, "deleted file mode %o\n", c.from.mode)
		updated = "/dev/null"
	case c.from.mode != c.to.mode:
		fmt.Fprintf(&b, "old mode %o\nnew mode %o\n", c.from.mode, c.to.mode)
	default:
		mode = fmt.Sprintf(" %o", c.to.mode)
	}
	if c.from.hash != c.to.hash {
		fmt.Fprintf(&b, "index %s..%s%s\n", c.from.hash, c.to.hash, mode)
	}
	if !bytes.Equal(before, after) {
		fmt.Fprintf(&b, "--- %s\n+++ %s\n", tabbed(old), tabbed(updated))
		edits, err := difference(ctx, lines(before), lines(after))
		if err != nil {
			return err
		}
		writeHunks(&b, edits)
	}
	_, err = w.Write(b.Bytes())
	return err
}

// tabbed ends a name with blanks as git does, so that nobody takes what follows
// the blank for a date.
func tabbed(name string) string {
	if strings.Contains(name, " ") && !strings.HasPrefix(name, `"`) {
		return name + "\t"
	}
	return name
}

// quoted is a name as git writes it (git: quote.c): in C's quotes when it has
// something unusual.
func quoted(name string) string {
	usual := func(c byte) bool { return c >= ' ' && c < 0x7f && c != '"' && c != '\\' }
	if !slices.ContainsFunc([]byte(name), func(c byte) bool { return !usual(c) }) {
		return name
	}
	var b strings.Builder
	b.WriteByte('"')
	for _, c := range []byte(name) {
		switch {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case usual(c):
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, `\%03o`, c)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// oneLine keeps foreign text from being more than one line of a header.
func oneLine(text string) string {
	const longest = 200
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == utf8.RuneError {
			return ' '
		}
		return r
	}, text)
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > longest {
		text = strings.ToValidUTF8(text[:longest], "")
	}
	return text
}
