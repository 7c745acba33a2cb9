package spec

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/ohpc-build/ohpc-build/internal/store"
)

// Runner runs a command in a fresh container of the target's image: as an
// ordinary user, without a network, with a read-only root. The folder dir of the
// host is mounted read-write, at a place of the runner's choice, and is the
// command's current folder. The error is nil even when the command fails; it is
// for what kept the container from running, or ended it.
type Runner interface {
	Run(ctx context.Context, dir string, args []string) error
}

// Image is what a runner's containers are made of.
type Image struct {
	Digest store.Digest
	Arch   string // rpm's name of its architecture
}

// Query is one spec to be read for one architecture with some defines.
type Query struct {
	Path    string // how people know the spec; does not change the answer
	Spec    File
	Sources []File // lie in _sourcedir: what the spec includes, and patches
	Defines []Define
	Arch    string
}

// File is an object of the store under a name.
type File struct {
	Name   string       `json:"name"`
	Digest store.Digest `json:"digest"`
}

// Define is a macro.
type Define struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Answer is what came of a query: either a result or an error, which is a
// *[ParseError] or a *[SkipError].
type Answer struct {
	Result *Result
	Err    error
}

// ParseError says that rpm cannot read a spec.
type ParseError struct {
	File     string   `json:"-"`              // the query's path
	Line     int      `json:"line,omitempty"` // 0 when rpm names none; may be one of an included file
	Messages []string `json:"messages"`       // rpm's own words
}

func (e *ParseError) Error() string {
	place := e.File
	if e.Line > 0 {
		place = fmt.Sprintf("%s:%d", e.File, e.Line)
	}
	return place + ": " + strings.Join(e.Messages, "; ")
}

// SkipError says that a spec is not for an architecture. It is no failure.
type SkipError struct {
	File   string
	Arch   string
	Reason string
}

func (e *SkipError) Error() string {
	return fmt.Sprintf("%s is not for %s: %s", e.File, e.Arch, e.Reason)
}

// Progress is shown which spec is being read.
type Progress interface {
	Begin(path string)
	End(path string, queries int)
}

type noProgress struct{}

func (noProgress) Begin(string)    {}
func (noProgress) End(string, int) {}

// Evaluator answers queries for one image.
type Evaluator struct {
	store  *store.Store
	runner Runner
	image  Image
	plain  bool
}

// Option changes how an evaluator works.
type Option func(*Evaluator)

// RpmspecOnly leaves out the short cut through rpm's Python module. It takes twice
// as long, and is there to be compared with.
func RpmspecOnly() Option { return func(e *Evaluator) { e.plain = true } }

// New returns an evaluator that keeps answers in st.
func New(st *store.Store, runner Runner, image Image, opts ...Option) *Evaluator {
	e := &Evaluator{store: st, runner: runner, image: image}
	for _, o := range opts {
		o(e)
	}
	return e
}

// format is part of every answer's key and grows when answers change their form
// or the way they are obtained.
const format = 9

// recordKind is where answers are kept in the store.
const recordKind = "spec"

// perContainer bounds the queries that share one container, and with it what is
// lost when one of them brings it down.
const perContainer = 64

// Recall returns the answers to queries that are in the store, and the indexes
// of those queries that have none there.
func (e *Evaluator) Recall(queries []Query) (answers []Answer, open []int, err error) {
	answers = make([]Answer, len(queries))
	known := make([]bool, len(queries))
	var group errgroup.Group
	group.SetLimit(runtime.GOMAXPROCS(0))
	for share := range slices.Chunk(indexes(len(queries)), 64) {
		group.Go(func() error {
			for _, i := range share {
				if err := queries[i].check(); err != nil {
					return err
				}
				answers[i], known[i] = e.recall(queries[i])
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, nil, err
	}
	for i, ok := range known {
		if !ok {
			open = append(open, i)
		}
	}
	return answers, open, nil
}

func indexes(n int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	return all
}

// Evaluate answers queries, in their order. The error is for what kept rpmspec
// from being asked; what is wrong with a spec is in its answer.
//
// Only queries about one spec share a container. A hostile spec can write what it
// likes there, and so spoil the answers of others; these are its own.
//
// Progress is told before and after a number of queries about one spec; it may be nil.
func (e *Evaluator) Evaluate(ctx context.Context, queries []Query, progress Progress) ([]Answer, error) {
	answers, open, err := e.Recall(queries)
	if err != nil {
		return nil, err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	if progress == nil {
		progress = noProgress{}
	}
	for _, share := range shares(queries, open) {
		group.Go(func() error {
			path := queries[share[0]].Path
			progress.Begin(path)
			err := e.ask(ctx, queries, share, answers)
			progress.End(path, len(share))
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, fmt.Errorf("evaluating specs: %w", err)
	}
	return answers, nil
}

// shares divides queries among containers: those of one spec together, and where
// there are few specs, so many that all processors have work.
func shares(queries []Query, open []int) [][]int {
	bySpec := map[store.Digest][]int{}
	var order []store.Digest
	for _, i := range open {
		d := queries[i].Spec.Digest
		if bySpec[d] == nil {
			order = append(order, d)
		}
		bySpec[d] = append(bySpec[d], i)
	}
	processors := runtime.GOMAXPROCS(0)
	size := perContainer
	if len(order) < 2*processors {
		size = max(1, min(perContainer, (len(open)+processors-1)/processors))
	}
	var all [][]int
	for _, d := range order {
		all = slices.AppendSeq(all, slices.Chunk(bySpec[d], size))
	}
	return all
}

// ask answers the queries of one container and remembers the answers.
func (e *Evaluator) ask(ctx context.Context, queries []Query, share []int, answers []Answer) error {
	chosen := make([]Query, len(share))
	for i, n := range share {
		chosen[i] = queries[n]
	}
	outcomes, err := e.run(ctx, chosen)
	if err != nil {
		return err
	}
	for i, n := range share {
		// A spec that brings its container down takes its neighbours along:
		// ask those that have no answer again, one by one.
		if outcomes[i] == nil && len(share) > 1 {
			if err := e.ask(ctx, queries, share[i:i+1], answers); err != nil {
				return err
			}
			continue
		}
		if outcomes[i] == nil {
			answers[n] = Answer{Err: &ParseError{File: chosen[i].Path, Messages: []string{"rpmspec was ended before it had an answer"}}}
			continue
		}
		answers[n] = e.answer(chosen[i], outcomes[i])
		if outcomes[i].timeout {
			continue // the machine may only have been busy
		}
		if err := e.remember(chosen[i], answers[n]); err != nil {
			return err
		}
	}
	return nil
}

// key stands for everything that an answer depends on.
func (e *Evaluator) key(q Query) (string, error) {
	sources := slices.Clone(q.Sources)
	slices.SortFunc(sources, func(a, b File) int { return strings.Compare(a.Name, b.Name) })
	parts, err := json.Marshal(struct {
		Format  int          `json:"format"`
		Image   store.Digest `json:"image"`
		Host    string       `json:"host"`
		Arch    string       `json:"arch"`
		Spec    File         `json:"spec"`
		Sources []File       `json:"sources"`
		Defines []Define     `json:"defines"`
		Plain   bool         `json:"plain"`
	}{format, e.image.Digest, e.image.Arch, q.Arch, q.Spec, sources, q.Defines, e.plain})
	if err != nil {
		return "", err
	}
	return store.Of(parts).Hex(), nil
}

// kept is an answer in the store.
type kept struct {
	Result *Result     `json:"result,omitempty"`
	Parse  *ParseError `json:"parse,omitempty"`
	Skip   string      `json:"skip,omitempty"`
}

// recall looks for an answer. A damaged one counts as none.
func (e *Evaluator) recall(q Query) (Answer, bool) {
	key, err := e.key(q)
	if err != nil {
		return Answer{}, false
	}
	var k kept
	if err := e.store.Record(recordKind, key, &k); err != nil {
		return Answer{}, false
	}
	switch {
	case k.Parse != nil:
		k.Parse.File = q.Path
		return Answer{Err: k.Parse}, true
	case k.Skip != "":
		return Answer{Err: &SkipError{File: q.Path, Arch: q.Arch, Reason: k.Skip}}, true
	default:
		return Answer{Result: k.Result}, k.Result != nil
	}
}

func (e *Evaluator) remember(q Query, a Answer) error {
	key, err := e.key(q)
	if err != nil {
		return err
	}
	k := kept{Result: a.Result}
	var skip *SkipError
	if !errors.As(a.Err, &k.Parse) && errors.As(a.Err, &skip) {
		k.Skip = skip.Reason
	}
	return e.store.PutRecord(recordKind, key, k)
}

// isMacro says whether a name is that of a macro as --define takes it, with the
// options and arguments that it accepts in parentheses if it is one that does.
func isMacro(name string) bool {
	word, options, parametric := strings.Cut(name, "(")
	if parametric {
		letters, ok := strings.CutSuffix(options, ")")
		if !ok || strings.ContainsFunc(letters, func(r rune) bool { return !isLetter(r) && r != ':' && r != '-' }) {
			return false
		}
	}
	return word != "" && !isDigit(rune(word[0])) && !strings.ContainsFunc(word, func(r rune) bool { return !isLetter(r) && !isDigit(r) && r != '_' })
}

func isLetter(r rune) bool { return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' }

func isDigit(r rune) bool { return r >= '0' && r <= '9' }

// check refuses names that would lead out of the folder that is made of them.
func (q Query) check() error {
	for _, f := range append([]File{q.Spec}, q.Sources...) {
		if f.Name == "" || f.Name == "." || f.Name == ".." || filepath.Base(f.Name) != f.Name {
			return fmt.Errorf("evaluating %s: %q is not a file name", q.Path, f.Name)
		}
	}
	for _, d := range q.Defines {
		if !isMacro(d.Name) || strings.ContainsRune(d.Value, 0) {
			return fmt.Errorf("evaluating %s: %q is not a macro that can be defined", q.Path, d.Name)
		}
	}
	if q.Arch == "" || strings.ContainsAny(q.Arch, " -/\x00\n") {
		return fmt.Errorf("evaluating %s: %q is not an architecture", q.Path, q.Arch)
	}
	return nil
}
