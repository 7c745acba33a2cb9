package rpmmd

import (
	stdxml "encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// Repomd is the content of repomd.xml: the list of a repository's data files.
// Whoever trusts it can verify all else.
type Repomd struct {
	Revision string
	Tags     Tags
	Data     []Data
}

// Data is one data file.
type Data struct {
	Type         string // "primary", "filelists", "other", …
	Location     string // slash-separated path relative to the repository's root
	Checksum     Checksum
	OpenChecksum Checksum // of the file uncompressed; empty when it is not compressed
	Timestamp    int64    // seconds since 1970
	Size         int64    // bytes
	OpenSize     int64    // bytes uncompressed; 0 when not given
}

// Checksum is a digest and the name of its algorithm.
type Checksum struct {
	Type  string // "sha256"
	Value string // hexadecimal
}

// Dir is the folder of the metadata in a repository, RepomdFile the path of the
// file with which every client begins.
const (
	Dir        = "repodata"
	RepomdFile = Dir + "/repomd.xml"
)

// maxRepomd bounds repomd.xml in bytes; real ones have a few thousand.
const maxRepomd = 4 << 20

// Find returns the data file of a type.
func (r *Repomd) Find(kind string) (Data, bool) {
	for _, d := range r.Data {
		if d.Type == kind {
			return d, true
		}
	}
	return Data{}, false
}

// XML is the content of repomd.xml.
func (r *Repomd) XML() ([]byte, error) {
	x := xml{}
	x.raw(xmlHeader)
	x.raw(`<repomd xmlns="http://linux.duke.edu/metadata/repo" xmlns:rpm="http://linux.duke.edu/metadata/rpm">` + "\n  <revision>")
	x.name(r.Revision)
	x.raw("</revision>\n")
	x.tags(r.Tags)
	for _, d := range r.Data {
		compressed := d.OpenChecksum.Value != ""
		x.raw("  <data")
		x.attr("type", d.Type)
		x.raw(">\n    <checksum")
		x.checksum(d.Checksum)
		x.raw("</checksum>")
		if compressed {
			x.raw("\n    <open-checksum")
			x.checksum(d.OpenChecksum)
			x.raw("</open-checksum>")
		}
		x.raw("\n    <location")
		x.attr("href", d.Location)
		x.raw("/>\n    <timestamp>")
		x.int(d.Timestamp)
		x.raw("</timestamp>\n    <size>")
		x.int(d.Size)
		x.raw("</size>")
		if compressed {
			x.raw("\n    <open-size>")
			x.int(d.OpenSize)
			x.raw("</open-size>")
		}
		x.raw("\n  </data>\n")
	}
	x.raw("</repomd>\n")
	return x.b, x.err
}

// tags are in the order of createrepo_c (xml_dump_repomd.c).
func (x *xml) tags(t Tags) {
	if len(t.Content)+len(t.Repo)+len(t.Distro) == 0 {
		return
	}
	x.raw("  <tags>\n")
	for _, s := range t.Content {
		x.raw("    <content>")
		x.name(s)
		x.raw("</content>\n")
	}
	for _, s := range t.Repo {
		x.raw("    <repo>")
		x.name(s)
		x.raw("</repo>\n")
	}
	for _, d := range t.Distro {
		x.raw("    <distro")
		if d.CPE != "" {
			x.attr("cpeid", d.CPE)
		}
		x.raw(">")
		x.name(d.Name)
		x.raw("</distro>\n")
	}
	x.raw("  </tags>\n")
}

func (x *xml) checksum(c Checksum) {
	x.attr("type", c.Type)
	x.raw(">")
	x.name(c.Value)
}

// ParseRepomd reads the content of repomd.xml. Locations are checked to lie
// below the repository's root.
func ParseRepomd(r io.Reader) (*Repomd, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxRepomd+1))
	if err != nil {
		return nil, fmt.Errorf("reading repomd.xml: %w", err)
	}
	if len(b) > maxRepomd {
		return nil, fmt.Errorf("reading repomd.xml: it is larger than %d bytes", maxRepomd)
	}
	type checksum struct {
		Type  string `xml:"type,attr"`
		Value string `xml:",chardata"`
	}
	var doc struct {
		XMLName  stdxml.Name `xml:"http://linux.duke.edu/metadata/repo repomd"`
		Revision string      `xml:"revision"`
		Tags     struct {
			Content []string `xml:"content"`
			Repo    []string `xml:"repo"`
			Distro  []struct {
				CPE  string `xml:"cpeid,attr"`
				Name string `xml:",chardata"`
			} `xml:"distro"`
		} `xml:"tags"`
		Data []struct {
			Type         string   `xml:"type,attr"`
			Checksum     checksum `xml:"checksum"`
			OpenChecksum checksum `xml:"open-checksum"`
			Location     struct {
				Href string `xml:"href,attr"`
			} `xml:"location"`
			Timestamp float64 `xml:"timestamp"` // some tools write fractions
			Size      int64   `xml:"size"`
			OpenSize  int64   `xml:"open-size"`
		} `xml:"data"`
	}
	if err := stdxml.Unmarshal(b, &doc); err != nil {
		return nil, fmt.Errorf("reading repomd.xml: %w", err)
	}
	md := &Repomd{Revision: strings.TrimSpace(doc.Revision), Tags: Tags{Content: doc.Tags.Content, Repo: doc.Tags.Repo}}
	for _, d := range doc.Tags.Distro {
		md.Tags.Distro = append(md.Tags.Distro, Distro{CPE: d.CPE, Name: d.Name})
	}
	for _, d := range doc.Data {
		data := Data{
			Type:         d.Type,
			Location:     d.Location.Href,
			Checksum:     Checksum{d.Checksum.Type, strings.TrimSpace(d.Checksum.Value)},
			OpenChecksum: Checksum{d.OpenChecksum.Type, strings.TrimSpace(d.OpenChecksum.Value)},
			Timestamp:    int64(d.Timestamp),
			Size:         d.Size,
			OpenSize:     d.OpenSize,
		}
		if !filepath.IsLocal(data.Location) || path.Clean(data.Location) != data.Location {
			return nil, fmt.Errorf("reading repomd.xml: %s lies at %q, outside of the repository", data.Type, data.Location)
		}
		if _, twice := md.Find(data.Type); twice {
			return nil, fmt.Errorf("reading repomd.xml: there are two data files of type %s", data.Type)
		}
		if data.Size < 0 || data.OpenSize < 0 {
			return nil, fmt.Errorf("reading repomd.xml: %s has a negative size", data.Type)
		}
		md.Data = append(md.Data, data)
	}
	if len(md.Data) == 0 {
		return nil, errors.New("reading repomd.xml: it names no data files")
	}
	return md, nil
}

// ReadRepomd reads the repomd.xml of the repository in dir.
func ReadRepomd(dir string) (*Repomd, error) {
	f, err := os.Open(filepath.Join(dir, RepomdFile))
	if err != nil {
		return nil, fmt.Errorf("reading the repository's metadata: %w", err)
	}
	defer f.Close()
	md, err := ParseRepomd(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.Name(), err)
	}
	return md, nil
}
