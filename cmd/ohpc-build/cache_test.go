package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ohpc-build/ohpc-build/internal/store"
	"github.com/ohpc-build/ohpc-build/matrix/cache"
)

// oldState is a state folder with an object that was not used for days.
func oldState(t *testing.T, days int) (dir string, object string) {
	t.Helper()
	dir = t.TempDir()
	st, err := store.Open(filepath.Join(dir, "store"))
	require.NoError(t, err)
	d, err := st.PutBytes(t.Context(), []byte(strings.Repeat("x", 8192)))
	require.NoError(t, err)
	object, err = st.Path(d)
	require.NoError(t, err)
	at := time.Now().Add(-time.Duration(days) * 24 * time.Hour)
	require.NoError(t, os.Chtimes(object, at, at))
	// The program that wrote it has ended.
	sessions, err := filepath.Glob(filepath.Join(dir, "store/sessions/*"))
	require.NoError(t, err)
	require.Len(t, sessions, 1)
	require.NoError(t, os.Remove(sessions[0]))
	return dir, object
}

func TestCacheList(t *testing.T) {
	dir, _ := oldState(t, 3)
	status, out, message := run(t, "cache", "list", "--state", dir)
	require.Equal(t, exitOK, status, message)
	require.Regexp(t, `other files +1 +8\.0 KiB +0 B +3 days ago +3 days ago +use by a run`, out)
	require.Regexp(t, `takes [0-9.]+ KiB; its file system has [0-9.]+ [GT]iB free\n$`, out)

	status, out, message = run(t, "cache", "list", "--state", dir, "--format", "json")
	require.Equal(t, exitOK, status, message)
	var list cache.Listing
	require.NoError(t, json.Unmarshal([]byte(out), &list))
	var sum int64
	for _, g := range list.Groups {
		sum += g.Bytes
	}
	require.Equal(t, list.Bytes, sum)
}

func TestCacheGC(t *testing.T) {
	dir, object := oldState(t, 31)
	_, out, _ := run(t, "cache", "gc", "--state", dir, "--dry-run")
	require.Regexp(t, `other files +1 +8\.0 KiB +would be removed`, out)
	require.FileExists(t, object)
	status, out, message := run(t, "cache", "gc", "--state", dir)
	require.Equal(t, exitOK, status, message)
	require.Regexp(t, `other files +1 +8\.0 KiB +removed`, out)
	require.NoFileExists(t, object)

	dir, object = oldState(t, 2)
	_, _, _ = run(t, "cache", "gc", "--state", dir)
	require.FileExists(t, object, "30 days by default")
	_, _, _ = run(t, "cache", "gc", "--state", dir, "--max-size", "1GiB")
	require.FileExists(t, object)
	_, _, _ = run(t, "cache", "gc", "--state", dir, "--max-size", "1GiB", "--older-than", "36h")
	require.NoFileExists(t, object)
}

func TestCacheMistakes(t *testing.T) {
	for args, want := range map[string]string{
		"cache list":                      "nothing is cached",
		"cache gc":                        "nothing is cached",
		"cache gc --max-size 20":          "--max-size is a whole number with a unit",
		"cache gc --max-size 0GiB":        "--max-size",
		"cache gc --older-than 30":        "--older-than is a time such as 30d",
		"cache gc --older-than -1d":       "--older-than",
		"cache gc --older-than 99999999d": "--older-than",
		"cache list --format yaml":        "--format is text or json",
		"cache gc everything":             "takes no argument",
	} {
		status, _, message := run(t, strings.Fields(args)...)
		require.Equal(t, exitUsage, status, args)
		require.Contains(t, message, want, args)
	}
}

func TestSizesForPeople(t *testing.T) {
	for n, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1536: "1.5 KiB", 20 << 30: "20.0 GiB", 5 << 40: "5.0 TiB", 1 << 52: "4096.0 TiB"} {
		require.Equal(t, want, size(n))
	}
}
