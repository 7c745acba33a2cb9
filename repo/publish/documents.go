package publish

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ohpc-build/ohpc-build/internal/store"
	"github.com/ohpc-build/ohpc-build/repo/layout"
	"github.com/ohpc-build/ohpc-build/repo/rpm"
	"github.com/ohpc-build/ohpc-build/repo/rpmmd"
	"github.com/ohpc-build/ohpc-build/repo/rpmmd/group"
	"github.com/ohpc-build/ohpc-build/repo/rpmmd/updateinfo"
	"github.com/ohpc-build/ohpc-build/repo/snapshot"
)

// documents are what the metadata say beside the packages: the groups, and the
// advisories since the previous snapshot.
func (s Spec) documents(ctx context.Context, st *store.Store, m *memory, items []item) ([]rpmmd.Document, error) {
	var documents []rpmmd.Document
	if len(s.Groups) > 0 {
		var b bytes.Buffer
		if err := group.Write(&b, s.comps()); err != nil {
			return nil, fmt.Errorf("groups: %w", err)
		}
		documents = append(documents, rpmmd.Document{Kind: rpmmd.KindGroup, Name: "comps.xml", Content: b.Bytes()})
	}
	if s.Previous == nil {
		return documents, nil
	}
	advisories, err := s.advisories(ctx, st, m, items)
	if err != nil {
		return nil, fmt.Errorf("advisories since snapshot %s: %w", s.Previous.ID, err)
	}
	if len(advisories) > 0 {
		var b bytes.Buffer
		if err := updateinfo.Write(&b, advisories); err != nil {
			return nil, fmt.Errorf("advisories: %w", err)
		}
		documents = append(documents, rpmmd.Document{Kind: rpmmd.KindUpdateinfo, Name: "updateinfo.xml", Content: b.Bytes()})
	}
	return documents, nil
}

// comps are the groups under one heading.
func (s Spec) comps() group.Comps {
	heading := group.Category{ID: strings.ToLower(layout.Product), Name: layout.Product, Description: "Software for clusters"}
	for _, g := range s.Groups {
		heading.Groups = append(heading.Groups, g.ID)
	}
	return group.Comps{Groups: s.Groups, Categories: []group.Category{heading}}
}

// documentsDigest is empty when there are none.
func documentsDigest(documents []rpmmd.Document) string {
	if len(documents) == 0 {
		return ""
	}
	h := sha256.New()
	for _, d := range documents {
		fmt.Fprintf(h, "%q %q %x\n", d.Kind, d.Name, sha256.Sum256(d.Content))
	}
	return hex.EncodeToString(h.Sum(nil))
}

// advisories are those of the previous snapshot whose packages are still there, and
// those for what is newer than there. The same packages have the same advisories
// again, so that nothing changes where nothing has changed.
func (s Spec) advisories(ctx context.Context, st *store.Store, m *memory, items []item) ([]updateinfo.Advisory, error) {
	old, earlier, err := s.previous(ctx, m)
	if err != nil {
		return nil, err
	}
	var fresh []advised
	for _, it := range items {
		fresh = append(fresh, advised{it.known.advised(), func() (string, error) { return st.Path(it.Digest) }})
	}
	by := updateinfo.Issuer{Prefix: "OHPC", From: s.Key.UserID(), Product: layout.Product + " " + s.Release + " for " + s.Target}
	if err := complete(ctx, updateinfo.Between(plain(old), plain(fresh), by), old, fresh); err != nil {
		return nil, err
	}
	type nevra struct{ name, evr, arch string }
	there := map[nevra]bool{}
	for _, p := range fresh {
		there[nevra{p.Name, withEpoch(p.EVR), p.Arch}] = true
	}
	all := updateinfo.Between(plain(old), plain(fresh), by)
	for _, a := range earlier {
		gone := slices.ContainsFunc(a.Packages, func(u updateinfo.Update) bool {
			return !there[nevra{u.Name, withEpoch(rpm.EVR{Epoch: u.Epoch, Version: u.Version, Release: u.Release}), u.Arch}]
		})
		known := slices.ContainsFunc(all, func(b updateinfo.Advisory) bool { return a.ID == b.ID })
		if !gone && !known {
			all = append(all, a)
		}
	}
	slices.SortFunc(all, func(a, b updateinfo.Advisory) int { return bytes.Compare([]byte(a.ID), []byte(b.ID)) })
	return all, nil
}

func withEpoch(e rpm.EVR) string {
	if e.Epoch == "" {
		e.Epoch = "0"
	}
	return e.String()
}

// advised is a package that an advisory may tell of. It has no summary and no changes
// until somebody reads them.
type advised struct {
	updateinfo.Package
	path func() (string, error)
}

func plain(packages []advised) []updateinfo.Package {
	all := make([]updateinfo.Package, len(packages))
	for i, p := range packages {
		all[i] = p.Package
	}
	return all
}

func (k *known) advised() updateinfo.Package {
	return updateinfo.Package{
		Name: k.Name, Arch: k.Arch, EVR: k.header().EVR(), SourceRPM: k.SourceRPM, FileName: k.FileName,
		Checksum: rpmmd.Checksum{Type: "sha256", Value: k.Digest.Hex()}, BuildTime: k.built(),
	}
}

// complete reads what the advisories are to tell of packages, on both sides.
func complete(ctx context.Context, advisories []updateinfo.Advisory, old, fresh []advised) error {
	told := map[string]bool{} // source packages' files
	for _, a := range advisories {
		for _, u := range a.Packages {
			told[cmp.Or(u.Source, u.Name)] = true
		}
	}
	names := map[string]bool{}
	for _, p := range fresh {
		if told[cmp.Or(p.SourceRPM, p.Name)] {
			names[p.SourceName()] = true
		}
	}
	for _, side := range [][]advised{old, fresh} {
		for i, p := range side {
			if err := ctx.Err(); err != nil {
				return err
			}
			if !names[p.SourceName()] {
				continue
			}
			path, err := p.path()
			if err != nil {
				return err
			}
			header, err := rpm.ReadFile(path)
			if err != nil {
				return err
			}
			side[i].Package = updateinfo.FromPackage(header, p.Checksum)
		}
	}
	return nil
}

// previous are the packages and advisories of the previous snapshot.
func (s Spec) previous(ctx context.Context, m *memory) (packages []advised, advisories []updateinfo.Advisory, err error) {
	dir := s.Previous.Dir
	at := func(place string) func() (string, error) {
		return func() (string, error) { return filepath.Join(dir, filepath.FromSlash(place)), nil }
	}
	md, err := rpmmd.ReadRepomd(dir)
	if err != nil {
		return nil, nil, err
	}
	manifest, _, err := snapshot.ReadManifest(dir)
	if err != nil {
		return nil, nil, err
	}
	if known := m.of(s.Previous.ID, manifest.Contents); known != nil {
		for _, k := range known {
			packages = append(packages, advised{k.advised(), at(k.place())})
		}
	} else if packages, err = readPackages(ctx, dir, md, at); err != nil {
		return nil, nil, err
	}
	if _, ok := md.Find(rpmmd.KindUpdateinfo); !ok {
		return packages, nil, nil
	}
	err = each(dir, md, rpmmd.KindUpdateinfo, func(r io.Reader) error {
		advisories, err = updateinfo.Read(r)
		return err
	})
	return packages, advisories, err
}

// readPackages are all of a snapshot's.
func readPackages(ctx context.Context, dir string, md *rpmmd.Repomd, at func(string) func() (string, error)) (packages []advised, err error) {
	err = each(dir, md, "primary", func(r io.Reader) error {
		_, err := rpmmd.ReadPrimary(r, func(rec rpmmd.Record) error {
			if !filepath.IsLocal(rec.Location) {
				return fmt.Errorf("%s lies outside of it", rec.Location)
			}
			p, err := rpm.ReadFile(filepath.Join(dir, filepath.FromSlash(rec.Location)))
			if err != nil {
				return err
			}
			packages = append(packages, advised{updateinfo.FromPackage(p, rec.Checksum), at(rec.Location)})
			return ctx.Err()
		})
		return err
	})
	return packages, err
}

// each reads a data file to its end, so that it is verified.
func each(dir string, md *rpmmd.Repomd, kind string, read func(io.Reader) error) error {
	d, ok := md.Find(kind)
	if !ok {
		return fmt.Errorf("its metadata have no %s", kind)
	}
	r, err := rpmmd.OpenData(dir, d)
	if err != nil {
		return err
	}
	err = read(r)
	if err == nil {
		_, err = io.Copy(io.Discard, r)
	}
	return errors.Join(err, r.Close())
}
