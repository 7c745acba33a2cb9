package publish

import (
	"bytes"
	"crypto/sha256"
	"encoding/gob"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"time"

	"github.com/ohpc-build/ohpc-build/internal/store"
	"github.com/ohpc-build/ohpc-build/repo/rpm"
	"github.com/ohpc-build/ohpc-build/repo/rpmmd"
	"github.com/ohpc-build/ohpc-build/repo/rpmmd/blocks"
	"github.com/ohpc-build/ohpc-build/repo/sign"
	"github.com/ohpc-build/ohpc-build/repo/snapshot"
)

// memory is what earlier snapshots were made of: packages that were read whole and
// found right, and how their metadata were compressed. It saves time and decides
// nothing. What it says of a package is bound to the package's digest, and is of use only
// under the rule by which it was found; compressed metadata are verified when they are
// copied. Where it is missing, damaged or of another rule, everything is read.
type memory struct {
	path      string // empty: nothing is remembered
	rule      string
	packages  map[store.Digest]*known
	snapshots []contents // the last one that was made first
	last      written
	learnt    bool
}

// known is what a package was found to be.
type known struct {
	Digest                 store.Digest
	File                   store.Identity // when it was hashed last
	Name, Version, Release string
	Epoch                  uint32
	Arch, BuildArch        string
	SourceRPM, FileName    string
	Built                  int64  // seconds since 1970
	Content                string // see item.digest; empty when nobody asked
	Unused                 int    // for how many snapshots

	lasting bool // the verdict can be kept
}

// contents are a snapshot's packages, in the order of their places.
type contents struct {
	ID       string
	Packages []store.Digest
}

// written is where the packages of a snapshot lie in its metadata.
type written struct {
	Dir         string // of the snapshot
	Compression rpmmd.Compression
	Packages    []entry // in order
	Blocks      []block
}

// entry is a package in metadata.
type entry struct {
	Place  string
	Digest store.Digest
}

// block is a [rpmmd.Block] without what its packages tell.
type block struct {
	Packages int
	Complete bool
	Built    int64
	Parts    []blocks.Span
}

const (
	// memoryFormat changes with the file's format, and whenever a package that was
	// accepted might be refused, or be taken for something else.
	memoryFormat = "ohpc-build snapshots 1\n"

	// Of so many snapshots the packages are known by heart, and so many may be made
	// without a package before it is forgotten: channels are published in turns.
	maxRemembered = 8

	// racy is how long a file's time may stay the same while it is written.
	racy = 10 * time.Millisecond

	// maxMemory bounds what is read back, in bytes.
	maxMemory = 1 << 30
)

// rule is a digest of all that decides on packages and renders them, besides
// the packages.
func (s Spec) rule() string {
	h := sha256.New()
	fmt.Fprintf(h, "%q %q %q %s", memoryFormat, rpmmd.FragmentFormat, compressor(), s.Key.PublicKey())
	return hex.EncodeToString(h.Sum(nil))
}

// compressor is the version of the library that compresses: another one may write
// other bytes for the same content.
func compressor() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, m := range info.Deps {
			if m.Path == "github.com/klauspost/compress" {
				return m.Version + m.Sum
			}
		}
	}
	return ""
}

// recall never fails: without a memory, everything is read.
func (s Spec) recall() *memory {
	m := &memory{path: s.Memory, rule: s.rule(), packages: map[store.Digest]*known{}}
	if m.path == "" {
		return m
	}
	f, err := m.read()
	if err != nil || f.Rule != m.rule {
		return m
	}
	for i := range f.Packages {
		k := &f.Packages[i]
		k.lasting = true
		m.packages[k.Digest] = k
	}
	m.snapshots, m.last = f.Snapshots, f.Last
	return m
}

// memoryFile is how it lies on disk: after memoryFormat, and before a digest of it.
type memoryFile struct {
	Rule      string
	Packages  []known
	Snapshots []contents
	Last      written
}

func (m *memory) read() (f memoryFile, err error) {
	file, err := os.Open(m.path)
	if err != nil {
		return f, err
	}
	defer file.Close()
	b, err := io.ReadAll(io.LimitReader(file, maxMemory))
	if err != nil {
		return f, err
	}
	end := len(b) - sha256.Size
	if end < 0 || !bytes.HasPrefix(b, []byte(memoryFormat)) || sha256.Sum256(b[:end]) != [sha256.Size]byte(b[end:]) {
		return f, errors.New("it is damaged")
	}
	return f, gob.NewDecoder(bytes.NewReader(b[len(memoryFormat):end])).Decode(&f)
}

// save keeps what was learnt for the next snapshot.
func (m *memory) save(st *store.Store, used []*known) error {
	if m.path == "" || !m.learnt {
		return nil
	}
	for _, k := range m.packages {
		k.Unused++
	}
	for _, k := range used {
		k.Unused = 0
	}
	identify(st, used)
	f := memoryFile{Rule: m.rule, Snapshots: m.snapshots, Last: m.last}
	for _, k := range m.packages {
		if k.Unused <= maxRemembered {
			f.Packages = append(f.Packages, *k)
		}
	}
	if err := f.write(m.path); err != nil {
		return fmt.Errorf("keeping what is known of packages: %w", err)
	}
	return nil
}

// identify takes down which files the packages are. One that was linked a moment ago could
// be written to without its time changing, so it is looked at again after that moment.
func identify(st *store.Store, packages []*known) {
	recent := func(k *known) bool { return k.File.Changed > time.Now().Add(-racy).UnixNano() }
	late := packages[:0:0]
	for _, k := range packages {
		k.File, _ = st.Identity(k.Digest) // a file without identity is hashed again
		if recent(k) {
			late = append(late, k)
		}
	}
	if len(late) > 0 {
		time.Sleep(racy)
	}
	for _, k := range late {
		if k.File, _ = st.Identity(k.Digest); recent(k) {
			k.File = store.Identity{}
		}
	}
}

// write replaces the file. It is not made durable: damage shows.
func (f memoryFile) write(path string) error {
	var b bytes.Buffer
	b.WriteString(memoryFormat)
	if err := gob.NewEncoder(&b).Encode(f); err != nil {
		return err
	}
	sum := sha256.Sum256(b.Bytes())
	b.Write(sum[:])
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	// Who writes at the same time may spoil it, which shows, or have renamed it already.
	fresh := path + ".new"
	if err := os.WriteFile(fresh, b.Bytes(), 0o644); err != nil {
		return err
	}
	if err := os.Rename(fresh, path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// made remembers a snapshot.
func (m *memory) made(id string, items []item) {
	if len(m.snapshots) > 0 && m.snapshots[0].ID == id {
		return // as the last time
	}
	c := contents{ID: id}
	for _, it := range items {
		c.Packages = append(c.Packages, it.Digest)
	}
	others := slices.DeleteFunc(m.snapshots, func(o contents) bool { return o.ID == id })
	m.snapshots = append([]contents{c}, others[:min(len(others), maxRemembered-1)]...)
	m.learnt = true
}

// of are the packages of a snapshot, in order, where all of them are known and are
// those that its manifest names by their digest.
func (m *memory) of(id string, manifest string) []*known {
	i := slices.IndexFunc(m.snapshots, func(c contents) bool { return c.ID == id })
	if i < 0 {
		return nil
	}
	var all []*known
	for _, d := range m.snapshots[i].Packages {
		k := m.packages[d]
		if k == nil {
			return nil
		}
		all = append(all, k)
	}
	var is snapshot.Contents
	for _, k := range all {
		is.Add(k.place(), k.Digest.Hex())
	}
	if is.Digest() != manifest {
		return nil
	}
	return all
}

// learn keeps what a package was found to be, if it was not known. A package whose
// signature ends some day is verified each time.
func (m *memory) learn(k *known) {
	if m.packages[k.Digest] != k && k.lasting {
		m.packages[k.Digest] = k
		m.learnt = true
	}
}

func newKnown(d store.Digest, p *rpm.Package) *known {
	return &known{
		Digest: d, Name: p.Name, Version: p.Version, Release: p.Release, Epoch: p.Epoch, Arch: p.Arch, BuildArch: p.BuildArch,
		SourceRPM: p.SourceRPM, FileName: p.FileName(), Built: p.BuildTime.Unix(), lasting: sign.Lasting(p),
	}
}

func (k *known) place() string { return k.Arch + "/" + k.FileName }

func (k *known) source() bool { return k.Arch == sourceDir }

func (k *known) built() time.Time { return time.Unix(k.Built, 0).UTC() }

func (k *known) header() *rpm.Package {
	return &rpm.Package{Name: k.Name, Epoch: k.Epoch, Version: k.Version, Release: k.Release, Arch: k.Arch}
}

func (k *known) nevra() string { return k.header().NEVRA() }
