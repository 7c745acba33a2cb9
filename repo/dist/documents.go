package dist

import (
	"bytes"
	"fmt"
	"io"
	"slices"

	"github.com/ohpc-build/ohpc-build/repo/rpm"
	"github.com/ohpc-build/ohpc-build/repo/rpmmd"
	"github.com/ohpc-build/ohpc-build/repo/rpmmd/group"
	"github.com/ohpc-build/ohpc-build/repo/rpmmd/updateinfo"
)

// documents are the snapshot's groups and advisories, as far as they are about
// packages that go into the archive. Other kinds of documents are left out: what
// is in them, and whether it holds for a part of the packages, is not known.
func (a Archive) documents(packages []rpmmd.Record) ([]rpmmd.Document, error) {
	md, err := rpmmd.ReadRepomd(a.Snapshot)
	if err != nil {
		return nil, err
	}
	var documents []rpmmd.Document
	for _, k := range []struct {
		kind, name string
		restrict   func(io.Reader, io.Writer, []rpmmd.Record) error
	}{
		{rpmmd.KindGroup, "comps.xml", restrictGroups},
		{rpmmd.KindUpdateinfo, "updateinfo.xml", restrictAdvisories},
	} {
		data, ok := md.Find(k.kind)
		if !ok {
			continue
		}
		var b bytes.Buffer
		if err := a.restricted(data, &b, packages, k.restrict); err != nil {
			return nil, fmt.Errorf("%s: %w", data.Location, err)
		}
		if b.Len() > 0 {
			documents = append(documents, rpmmd.Document{Kind: k.kind, Name: k.name, Content: b.Bytes()})
		}
	}
	return documents, nil
}

func (a Archive) restricted(data rpmmd.Data, w io.Writer, packages []rpmmd.Record, restrict func(io.Reader, io.Writer, []rpmmd.Record) error) error {
	r, err := rpmmd.OpenData(a.Snapshot, data)
	if err != nil {
		return err
	}
	defer r.Close()
	if err := restrict(r, w, packages); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, r) // to its end, where its digest is compared
	return err
}

// restrictGroups keeps of groups the packages that are there, and of all else the
// groups that are left.
func restrictGroups(r io.Reader, w io.Writer, packages []rpmmd.Record) error {
	comps, err := group.Read(r)
	if err != nil {
		return err
	}
	names := map[string]bool{}
	for _, p := range packages {
		names[p.Name] = names[p.Name] || p.Arch != source
	}
	there := func(list []string) []string {
		return slices.DeleteFunc(list, func(name string) bool { return !names[name] })
	}
	left := map[string]bool{}
	var out group.Comps
	for _, g := range comps.Groups {
		g.Mandatory, g.Preset, g.Optional = there(g.Mandatory), there(g.Preset), there(g.Optional)
		g.Conditional = slices.DeleteFunc(g.Conditional, func(c group.Conditional) bool { return !names[c.Name] })
		if len(g.Mandatory)+len(g.Preset)+len(g.Optional)+len(g.Conditional) > 0 {
			left[g.ID] = true
			out.Groups = append(out.Groups, g)
		}
	}
	if len(left) == 0 {
		return nil
	}
	groups := func(list []string) []string {
		return slices.DeleteFunc(list, func(id string) bool { return !left[id] })
	}
	for _, c := range comps.Categories {
		if c.Groups = groups(c.Groups); len(c.Groups) > 0 {
			out.Categories = append(out.Categories, c)
		}
	}
	for _, e := range comps.Environments {
		if e.Groups, e.Options = groups(e.Groups), groups(e.Options); len(e.Groups) > 0 {
			out.Environments = append(out.Environments, e)
		}
	}
	return group.Write(w, out)
}

// restrictAdvisories keeps of advisories the packages that are there.
func restrictAdvisories(r io.Reader, w io.Writer, packages []rpmmd.Record) error {
	advisories, err := updateinfo.Read(r)
	if err != nil {
		return err
	}
	type nevra struct{ name, evr, arch string }
	there := map[nevra]bool{}
	for _, p := range packages {
		there[nevra{p.Name, withEpoch(p.EVR), p.Arch}] = true
	}
	var left []updateinfo.Advisory
	for _, a := range advisories {
		a.Packages = slices.DeleteFunc(a.Packages, func(u updateinfo.Update) bool {
			return !there[nevra{u.Name, withEpoch(rpm.EVR{Epoch: u.Epoch, Version: u.Version, Release: u.Release}), u.Arch}]
		})
		if len(a.Packages) > 0 {
			left = append(left, a)
		}
	}
	if len(left) == 0 {
		return nil
	}
	return updateinfo.Write(w, left)
}

func withEpoch(e rpm.EVR) string {
	if e.Epoch == "" {
		e.Epoch = "0"
	}
	return e.String()
}
