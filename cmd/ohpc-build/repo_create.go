package main

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/ohpc-build/ohpc-build/repo/create"
	"github.com/ohpc-build/ohpc-build/repo/rpmmd"
	"github.com/ohpc-build/ohpc-build/repo/snapshot"
)

// creation are the flags of repo create, with createrepo_c's names and letters.
type creation struct {
	*flags
	create.Options
	checksum, repomdChecksum   string
	compress, generalCompress  string
	groupFile, pkgList         string
	include                    []string
	distro, content, repoTags  []string
	changelogLimit, retainOld  int
	retainAge, readList, cache string
	setTimestamp, sign         bool
	keep, discard              bool
	quiet, compatibility       bool
}

const repoCreateLong = `repo create writes the metadata of a folder of packages, element by element as
createrepo_c does, with its options. What is different:

  A package that is damaged, two packages of one name, version and architecture,
  or a link out of the folder stop it with their names and exit status 1, and the
  old metadata stay. createrepo_c leaves such packages out, or in, and exits 0.

  The new metadata replace the old ones in one step. A run that is killed leaves
  the old or the new ones, and no lock behind.

  The same packages give the same bytes: a package's file time is its build time,
  and the revision and the timestamps are the time of the newest build. Where
  nothing has changed, nothing is written.

  --update relies on an index in the state folder (--cachedir) in place of the old
  metadata: a package whose size, time of modification (in nanoseconds) and inode
  are as they were is not read again; with --skip-stat its name is enough. What
  else the repository had, such as groups and modules, is kept by --update, as
  createrepo_c 1.0 does.

Of createrepo_c's options these are not here:

  --database, --local-sqlite   SQLite files: no client of today's reads them
  --xz, bz2 as a compression   gz is read by all clients, zstd is smaller than both
  --zck, --zck-dict-dir        zchunk
  --deltas, --oldpackagedirs, --num-deltas, --max-delta-rpm-size
                               delta packages: distributions have given them up
  --split                      media sets
  --basedir, --update-md-path  give DIR and --outputdir in full`

func newRepoCreate(f *flags) *cobra.Command {
	c := &creation{flags: f}
	cmd := &cobra.Command{
		Use:   "create DIR",
		Short: "Make the metadata of a folder of packages (createrepo_c's work, with its options)",
		Long:  repoCreateLong,
		Example: `  ohpc-build repo create /srv/repos/site
  ohpc-build repo create --update --groupfile comps.xml --sign --require-signatures /srv/repos/site`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usageError("repo create takes one folder: the one with the packages")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return c.run(cmd, args[0]) },
	}
	c.register(cmd.Flags())
	return cmd
}

func (c *creation) register(p *pflag.FlagSet) {
	p.StringArrayVarP(&c.Select.Exclude, "excludes", "x", nil, "leave out packages whose path matches the `pattern` (* and ?); may be repeated")
	p.StringVarP(&c.pkgList, "pkglist", "i", "", "`file` with the paths of the packages to take, one a line, relative to DIR")
	p.StringArrayVarP(&c.include, "includepkg", "n", nil, "`path` of a package to take, relative to DIR; may be repeated")
	p.BoolVar(&c.Select.Recycle, "recycle-pkglist", false, "take the packages that the old metadata have and that are still there, besides --pkglist; DIR is not searched")
	p.BoolVarP(&c.Select.SkipSymlinks, "skip-symlinks", "S", false, "leave out packages that are symbolic links")
	p.StringVarP(&c.Output, "outputdir", "o", "", "`folder` that gets repodata (default: DIR)")
	p.StringVarP(&c.Place.Base, "baseurl", "u", "", "`URL` that clients find packages below, if it is not the repository's")
	p.StringVar(&c.Place.Prefix, "location-prefix", "", "`path` to put before packages' locations")
	p.IntVar(&c.Place.CutDirs, "cut-dirs", 0, "take so `many` folders from packages' locations")
	p.BoolVar(&c.Update, "update", false, "read only packages that are new or changed")
	p.BoolVar(&c.SkipStat, "skip-stat", false, "with --update: packages of the same name are the same")
	p.StringVarP(&c.checksum, "checksum", "s", "sha256", "`kind` of digest: sha256, sha384, sha512; sha224 and sha1 for old clients")
	p.StringVar(&c.repomdChecksum, "repomd-checksum", "", "`kind` of digest in repomd.xml (default: --checksum)")
	p.StringVar(&c.generalCompress, "general-compress-type", "", "`compression` of all data: gz (default) or zstd, which EL 7 and older cannot read")
	p.StringVar(&c.compress, "compress-type", "", "the same as --general-compress-type")
	p.StringVarP(&c.groupFile, "groupfile", "g", "", "`file` with groups (comps.xml) to include, looked for in DIR too")
	p.IntVar(&c.changelogLimit, "changelog-limit", 10, "write so `many` of a package's newest changes; -1: all")
	p.Bool("unique-md-filenames", true, "files have their digests in their names; the default")
	p.BoolVar(&c.Metadata.SimpleNames, "simple-md-filenames", false, "files do not have their digests in their names")
	p.IntVar(&c.retainOld, "retain-old-md", 0, "0 removes what the old repomd.xml names; any other `number` keeps all old files")
	p.BoolVar(&c.compatibility, "compatibility", false, "with --retain-old-md: keep that many old files of each kind")
	p.StringVar(&c.retainAge, "retain-old-md-by-age", "", "keep old files that are younger than the `age`: 30m, 2h, 7d")
	p.BoolVar(&c.keep, "keep-all-metadata", false, "keep the old groups, modules and the like; the default with --update")
	p.BoolVar(&c.discard, "discard-additional-metadata", false, "do not keep the old groups, modules and the like")
	p.StringVar(&c.Metadata.Revision, "revision", "", "revision of the repository, any `text` (default: the time of the newest build)")
	p.BoolVar(&c.setTimestamp, "set-timestamp-to-revision", false, "take --revision, seconds since 1970, as the time of the metadata and their files")
	p.StringArrayVar(&c.distro, "distro", nil, "distribution that it is for, `[cpeid,]name`; may be repeated")
	p.StringArrayVar(&c.content, "content", nil, "`tag` for what is in it; may be repeated")
	p.StringArrayVar(&c.repoTags, "repo", nil, "`tag` for the repository; may be repeated")
	p.StringVar(&c.readList, "read-pkgs-list", "", "`file` to list the packages in that were read")
	p.IntVar(&c.Metadata.Workers, "workers", 0, "read and compress so `many` packages at a time (default: one for each processor)")
	p.StringVarP(&c.cache, "cachedir", "c", "", "`folder` of the index that --update relies on (default: repodata in the state folder)")
	p.BoolVarP(&c.quiet, "quiet", "q", false, "print nothing but errors")
	p.BoolVar(&c.RequireSignatures, "require-signatures", false, "packages without a signature are an error")
	p.BoolVar(&c.sign, "sign", false, "sign repomd.xml with the state folder's key")
	for _, name := range []string{"no-database", "pretty", "error-exit-val"} {
		p.Bool(name, true, "is always so")
		_ = p.MarkHidden(name) // it is there
	}
	for name, why := range notHere {
		p.Var(refused(why), name, why)
		p.Lookup(name).NoOptDefVal = "true"
		_ = p.MarkHidden(name)
	}
	p.Lookup("database").Shorthand = "" // the letter is not worth an option
}

// notHere are options of createrepo_c that cannot be had, and why.
var notHere = map[string]string{
	"database": noSQLite, "local-sqlite": noSQLite,
	"xz":  "xz is not written: gz is read by all clients, --general-compress-type zstd is smaller",
	"zck": noZchunk, "zck-dict-dir": noZchunk,
	"deltas": noDeltas, "oldpackagedirs": noDeltas, "num-deltas": noDeltas, "max-delta-rpm-size": noDeltas,
	"split":          "media sets are not supported",
	"basedir":        "give DIR and --outputdir in full",
	"update-md-path": "what --update knows comes from its index (--cachedir), not from other metadata",
}

const (
	noSQLite = "SQLite files are not written: no client of today's reads them"
	noZchunk = "zchunk files are not written"
	noDeltas = "delta packages are not supported"
)

// refused is a flag that says why it cannot be used.
type refused string

func (refused) String() string     { return "" }
func (refused) Type() string       { return "" }
func (r refused) Set(string) error { return errors.New(string(r)) }

func (c *creation) run(cmd *cobra.Command, dir string) error {
	if err := c.complete(dir); err != nil {
		return err
	}
	// Most of what is allocated is garbage at once: little room for it is enough.
	defer debug.SetGCPercent(debug.SetGCPercent(60))
	result, err := create.Run(cmd.Context(), c.Options)
	if err != nil {
		return err
	}
	if c.readList != "" {
		if err := os.WriteFile(c.readList, []byte(eachOnLine(result.Read)), 0o644); err != nil {
			return fmt.Errorf("listing the packages that were read: %w", err)
		}
	}
	if result.IndexError != nil {
		fmt.Fprintf(cmd.ErrOrStderr(), "warning: %v; the next --update will read all packages\n", result.IndexError)
	}
	if c.quiet {
		return nil
	}
	for _, name := range result.Twice {
		fmt.Fprintf(cmd.ErrOrStderr(), "warning: %q is a second copy of a package that is there already\n", name)
	}
	text := "nothing has changed"
	if result.Changed {
		text = "the metadata are written"
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: %s (%d packages, %d of them read)\n", dir, text, result.Packages, len(result.Read))
	return err
}

func eachOnLine(list []string) string {
	var b strings.Builder
	for _, s := range list {
		b.WriteString(s + "\n")
	}
	return b.String()
}

// complete makes Options of the flags.
func (c *creation) complete(dir string) (err error) {
	c.Dir = dir
	if fi, err := os.Stat(dir); err != nil {
		return usageError("the folder of packages: %w", err)
	} else if !fi.IsDir() {
		return usageError("%s is not a folder", dir)
	}
	if c.Output == "" {
		c.Output = dir
	}
	if fi, err := os.Stat(c.Output); err == nil && !fi.IsDir() {
		return usageError("--outputdir: %s is not a folder", c.Output)
	}
	// Its metadata are signed and never change; channels and mirrorlists name it.
	if _, err := os.Lstat(filepath.Join(c.Output, snapshot.ManifestFile)); err == nil {
		return usageError("%s is a published snapshot, whose metadata do not change; --outputdir puts others elsewhere, and ohpc-build matrix makes a new one", c.Output)
	}
	for _, step := range []func() error{c.digests, c.compression, c.times, c.retention, c.documents, c.selection, c.findIndex, c.signing} {
		if err := step(); err != nil {
			return err
		}
	}
	c.KeepDocuments = (c.Update || c.keep) && !c.discard
	c.Metadata.Tags = rpmmd.Tags{Content: c.content, Repo: c.repoTags}
	for _, d := range c.distro {
		cpe, name, ok := strings.Cut(d, ",")
		if !ok {
			cpe, name = "", d
		}
		c.Metadata.Tags.Distro = append(c.Metadata.Tags.Distro, rpmmd.Distro{CPE: cpe, Name: name})
	}
	if c.Metadata.Changes = c.changelogLimit; c.changelogLimit == 0 {
		return usageError("--changelog-limit: 0 is not possible, 1 is the least")
	}
	if c.Metadata.Workers < 0 || c.Place.CutDirs < 0 || c.retainOld < 0 {
		return usageError("--workers, --cut-dirs and --retain-old-md must not be negative")
	}
	return nil
}

func (c *creation) digests() error {
	if c.repomdChecksum == "" {
		c.repomdChecksum = c.checksum
	}
	for _, kind := range []string{c.checksum, c.repomdChecksum} {
		if _, err := rpmmd.NewHash(kind); err != nil {
			return usageError("--checksum: %w; there are sha256, sha384, sha512, sha224 and sha1", err)
		}
	}
	c.Checksum, c.Metadata.Checksum = c.checksum, c.repomdChecksum
	return nil
}

func (c *creation) compression() error {
	if c.compress != "" && c.generalCompress != "" && c.compress != c.generalCompress {
		return usageError("--compress-type and --general-compress-type differ; all data are compressed in one way")
	}
	switch kind := c.compress + c.generalCompress; {
	case kind == "", strings.HasPrefix(kind, "gz"):
		c.Metadata.Compression = rpmmd.Gzip
	case strings.HasPrefix(kind, "zst"):
		c.Metadata.Compression = rpmmd.Zstd
	default:
		return usageError("--general-compress-type: %s is not written, there are gz and zstd", c.generalCompress+c.compress)
	}
	return nil
}

func (c *creation) times() error {
	if !c.setTimestamp {
		return nil
	}
	n, err := strconv.ParseInt(c.Metadata.Revision, 10, 64)
	if err != nil || n <= 0 {
		return usageError("--set-timestamp-to-revision needs --revision with seconds since 1970 (date +%%s), not %q", c.Metadata.Revision)
	}
	c.Metadata.Time, c.Timestamps = time.Unix(n, 0), true
	return nil
}

func (c *creation) retention() error {
	if c.compatibility {
		c.Retain.Newest = c.retainOld
	} else {
		c.Retain.All = c.retainOld > 0
	}
	if c.retainAge == "" {
		return nil
	}
	units := map[string]time.Duration{"m": time.Minute, "h": time.Hour, "d": 24 * time.Hour, "": time.Second}
	number := strings.TrimRight(c.retainAge, "mhd")
	n, err := strconv.ParseUint(number, 10, 20)
	unit, ok := units[strings.TrimPrefix(c.retainAge, number)]
	if err != nil || !ok {
		return usageError("--retain-old-md-by-age: %q is no age such as 30m, 2h or 7d", c.retainAge)
	}
	c.Retain.Younger = time.Duration(n) * unit
	return nil
}

// documents reads the groups.
func (c *creation) documents() error {
	if c.groupFile == "" {
		return nil
	}
	b, err := os.ReadFile(c.groupFile)
	if errors.Is(err, os.ErrNotExist) && !filepath.IsAbs(c.groupFile) {
		b, err = os.ReadFile(filepath.Join(c.Dir, c.groupFile))
	}
	if err == nil {
		err = wellFormed(b, "comps")
	}
	if err != nil {
		return usageError("--groupfile %s: %w", c.groupFile, err)
	}
	c.Metadata.Documents = []rpmmd.Document{{Kind: rpmmd.KindGroup, Name: "comps.xml", Content: b}}
	return nil
}

// wellFormed says why a text is not an XML document with that root.
func wellFormed(b []byte, root string) error {
	for d, first := xml.NewDecoder(bytes.NewReader(b)), true; ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) && !first {
			return nil
		}
		if errors.Is(err, io.EOF) {
			return fmt.Errorf("it is no XML, expected <%s>", root)
		}
		if err != nil {
			return err
		}
		if e, ok := token.(xml.StartElement); ok && first {
			if first = false; e.Name.Local != root {
				return fmt.Errorf("it begins with <%s>, expected <%s>", e.Name.Local, root)
			}
		}
	}
}

// selection reads the list of packages.
func (c *creation) selection() error {
	if c.pkgList != "" {
		f, err := os.Open(c.pkgList)
		if err != nil {
			return usageError("--pkglist: %w", err)
		}
		defer f.Close()
		c.Select.Only = []string{}
		for s := bufio.NewScanner(f); ; {
			if !s.Scan() {
				if err := s.Err(); err != nil {
					return usageError("--pkglist %s: %w", c.pkgList, err)
				}
				break
			}
			if s.Text() != "" {
				c.Select.Only = append(c.Select.Only, s.Text())
			}
		}
	}
	c.Select.Only = append(c.Select.Only, c.include...)
	if c.Select.Recycle && !c.Update {
		return usageError("--recycle-pkglist is for --update")
	}
	return nil
}

// findIndex gives each folder of metadata an index of its own.
func (c *creation) findIndex() error {
	dir := c.cache
	if dir == "" {
		state, err := c.stateFolder()
		if err != nil {
			return err
		}
		dir = filepath.Join(state, "repodata")
	}
	output, err := filepath.Abs(c.Output)
	if err != nil {
		return usageError("the folder for metadata: %w", err)
	}
	sum := sha256.Sum256([]byte(output))
	c.Index = filepath.Join(dir, hex.EncodeToString(sum[:16])+".index")
	return nil
}

func (c *creation) signing() error {
	if !c.sign {
		return nil
	}
	_, key, err := c.existingKey()
	if err != nil {
		return err
	}
	c.Sign = func(repomd []byte) (map[string][]byte, error) {
		return rpmmd.Sign(repomd, key, key.Created())
	}
	return nil
}
