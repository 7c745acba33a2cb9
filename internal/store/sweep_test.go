package store_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/internal/store"
)

func pathOf(s *store.Store, e store.Entry) string {
	if e.Kind == "" {
		return filepath.Join(s.Dir(), "objects/sha256", e.ID[:2], e.ID)
	}
	return filepath.Join(s.Dir(), "records", e.Kind, e.ID+".json")
}

// age makes everything in a store look as if it had not been used for some time.
func age(t *testing.T, s *store.Store, by time.Duration) {
	t.Helper()
	for _, e := range entries(t, s) {
		at := time.Now().Add(-by)
		require.NoError(t, os.Chtimes(pathOf(s, e), at, at))
	}
}

func entries(t *testing.T, s *store.Store) []store.Entry {
	t.Helper()
	all, strange, err := s.Entries(t.Context())
	require.NoError(t, err)
	require.Empty(t, strange)
	return all
}

func TestUseIsMarkedOnceADay(t *testing.T) {
	s := open(t)
	d, err := s.PutBytes(t.Context(), []byte("hello"))
	require.NoError(t, err)
	require.NoError(t, s.PutRecord("jobs", "one", d))
	uses := map[string]func(){
		"has":    func() { require.True(t, s.Has(d)) },
		"path":   func() { _, err := s.Path(d); require.NoError(t, err) },
		"put":    func() { _, err := s.PutBytes(t.Context(), []byte("hello")); require.NoError(t, err) },
		"record": func() { require.NoError(t, s.Record("jobs", "one", &d)) },
	}
	marked := func(kind string) bool {
		for _, e := range entries(t, s) {
			if e.Kind == kind {
				return time.Since(e.Used) < time.Minute
			}
		}
		return false
	}
	for name, use := range uses {
		kind := ""
		if name == "record" {
			kind = "jobs"
		}
		age(t, s, 23*time.Hour)
		use()
		require.False(t, marked(kind), "%s: the mark is from today", name)
		age(t, s, 25*time.Hour)
		use()
		require.True(t, marked(kind), name)
	}
	age(t, s, 25*time.Hour)
	require.NoError(t, s.Peek("jobs", "one", &d))
	require.False(t, marked("jobs"), "looking is not using")
	require.NoError(t, s.Link(d, filepath.Join(t.TempDir(), "published")))
	age(t, s, 25*time.Hour)
	require.True(t, s.Has(d))
	require.False(t, marked(""), "the times of a published file are its own")
}

func TestSweepLeavesWhatOthersUse(t *testing.T) {
	s := open(t)
	old, err := s.PutBytes(t.Context(), []byte("old"))
	require.NoError(t, err)
	used, err := s.PutBytes(t.Context(), []byte("used"))
	require.NoError(t, err)
	published, err := s.PutBytes(t.Context(), []byte("published"))
	require.NoError(t, err)
	require.NoError(t, s.Link(published, filepath.Join(t.TempDir(), "package")))
	age(t, s, 30*24*time.Hour)
	fresh, err := s.PutBytes(t.Context(), []byte("fresh"))
	require.NoError(t, err)

	other, err := store.Open(s.Dir()) // another program
	require.NoError(t, err)
	require.True(t, other.Has(used))
	listed := entries(t, s)

	w, err := s.Sweep()
	require.NoError(t, err)
	require.False(t, w.Alone())
	removed := map[store.Digest]bool{}
	for _, e := range listed {
		gone, err := w.Remove(store.Removal{Entries: []store.Entry{e}})
		require.NoError(t, err)
		removed[e.Digest()] = gone
		require.Equal(t, gone, !other.Has(e.Digest()))
	}
	require.NoError(t, w.Close())
	require.Equal(t, map[store.Digest]bool{old: true, used: false, published: false, fresh: false}, removed)
	requireNoLeftovers(t, s)
}

func TestUseAfterTheListCounts(t *testing.T) {
	s := open(t)
	other, err := store.Open(s.Dir())
	require.NoError(t, err)
	d, err := s.PutBytes(t.Context(), []byte("object"))
	require.NoError(t, err)
	require.NoError(t, s.PutRecord("jobs", "one", d))
	age(t, s, 30*24*time.Hour)
	folder := filepath.Join(t.TempDir(), "layer")
	require.NoError(t, os.Mkdir(folder, 0o755))
	listed := entries(t, s)
	w, err := s.Sweep()
	require.NoError(t, err)
	defer func() { require.NoError(t, w.Close()) }()

	var object, record store.Entry
	for _, e := range listed {
		if e.Kind == "" {
			object = e
		} else {
			record = e
		}
	}
	require.NoError(t, other.Record("jobs", "one", &d))
	gone, err := w.Remove(store.Removal{Entries: []store.Entry{record, object}})
	require.NoError(t, err)
	require.False(t, gone, "all or nothing")
	require.True(t, s.Has(d))
	gone, err = w.Remove(store.Removal{Folders: []string{folder}, Users: []store.Entry{record}})
	require.NoError(t, err)
	require.False(t, gone)
	require.DirExists(t, folder)
}

func TestNobodyBeginsDuringASweepAlone(t *testing.T) {
	s := open(t)
	folder := filepath.Join(s.Dir(), "layer")
	require.NoError(t, os.MkdirAll(filepath.Join(folder, "usr/bin"), 0o755))
	w, err := s.Sweep()
	require.NoError(t, err)
	require.True(t, w.Alone())
	opened := make(chan error, 1)
	go func() {
		_, err := store.Open(s.Dir())
		opened <- err
	}()
	select {
	case err := <-opened:
		t.Fatalf("a program began while another sweeps: %v", err)
	case <-time.After(100 * time.Millisecond):
	}
	gone, err := w.Remove(store.Removal{Folders: []string{folder}})
	require.NoError(t, err)
	require.True(t, gone)
	require.NoDirExists(t, folder)
	require.NoError(t, w.Close())
	require.NoError(t, <-opened)
	requireNoLeftovers(t, s)
}

func TestEntriesFollowNoLink(t *testing.T) {
	s := open(t)
	d, err := s.PutBytes(t.Context(), []byte("mine"))
	require.NoError(t, err)
	outside := t.TempDir()
	victim := filepath.Join(outside, "ab"+d.Hex()[2:])
	require.NoError(t, os.WriteFile(victim, []byte("not mine"), 0o600))
	objects := filepath.Join(s.Dir(), "objects/sha256")
	require.NoError(t, os.RemoveAll(filepath.Join(objects, "ab")))
	require.NoError(t, os.Symlink(outside, filepath.Join(objects, "ab")))
	require.NoError(t, os.Symlink(victim, filepath.Join(objects, d.Hex()[:2], d.Hex()[:2]+victim[len(victim)-62:])+"x"))
	require.NoError(t, os.Symlink(outside, filepath.Join(s.Dir(), "records/evil")))
	require.NoError(t, os.WriteFile(filepath.Join(objects, "README"), nil, 0o600))
	all, strange, err := s.Entries(t.Context())
	require.NoError(t, err)
	require.Len(t, all, 1)
	require.Equal(t, d, all[0].Digest())
	require.Len(t, strange, 4)

	w, err := s.Sweep()
	require.NoError(t, err)
	defer func() { require.NoError(t, w.Close()) }()
	gone, err := w.Remove(store.Removal{Entries: []store.Entry{{ID: filepath.Base(victim), Used: time.Now()}}})
	require.False(t, gone)
	require.Error(t, err)
	require.FileExists(t, victim)
}

// TestSweepBesidePrograms lets programs make, mark and read entries while others
// remove everything that they may: what a program was told to be there stays there.
func TestSweepBesidePrograms(t *testing.T) {
	dir := t.TempDir()
	first, err := store.Open(dir)
	require.NoError(t, err)
	const names = 40
	content := func(i int) []byte { return fmt.Appendf(nil, "object %d", i) }
	for i := range names {
		d, err := first.PutBytes(t.Context(), content(i))
		require.NoError(t, err)
		require.NoError(t, first.PutRecord("jobs", fmt.Sprint(i), d))
	}
	age(t, first, 40*24*time.Hour)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	var wg sync.WaitGroup
	var found, missed, swept atomic.Int64
	begun := make(chan struct{}) // what the programs mark first, nobody removes any more
	var once sync.Once
	program := func(s *store.Store) error {
		select {
		case <-begun:
		case <-ctx.Done():
		}
		trusted := map[int]store.Digest{}
		for ctx.Err() == nil {
			i := rand.IntN(names)
			var d store.Digest
			err := s.Record("jobs", fmt.Sprint(i), &d)
			switch {
			case err == nil && s.Has(d):
				found.Add(1)
			case err == nil || errors.Is(err, store.ErrNotFound):
				missed.Add(1)
				if d, err = s.PutBytes(t.Context(), content(i)); err != nil {
					return err
				}
				if err := s.PutRecord("jobs", fmt.Sprint(i), d); err != nil {
					return err
				}
			default:
				return err
			}
			trusted[i] = d
			for i, d := range trusted {
				if _, err := s.Path(d); err != nil {
					return fmt.Errorf("object %d was there: %w", i, err)
				}
			}
		}
		return nil
	}
	sweeper := func(s *store.Store) error {
		for ctx.Err() == nil {
			w, err := s.Sweep()
			if err != nil {
				return err
			}
			all, _, err := s.Entries(t.Context())
			for _, e := range all {
				var gone bool
				if gone, err = w.Remove(store.Removal{Entries: []store.Entry{e}}); gone {
					swept.Add(1)
					once.Do(func() { close(begun) })
				}
				if err != nil {
					break
				}
			}
			if err = errors.Join(err, w.Close()); err != nil {
				return err
			}
		}
		return nil
	}
	for i := range 5 {
		s, err := store.Open(dir)
		require.NoError(t, err)
		run := program
		if i < 2 {
			run = sweeper
		}
		wg.Go(func() {
			if err := run(s); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	require.NotZero(t, swept.Load(), "nothing was removed: this test tests nothing")
	require.NotZero(t, found.Load())
	require.NotZero(t, missed.Load())
}
