package rpmmd

import (
	stdxml "encoding/xml"
	"io"
	"strings"

	"github.com/ohpc-build/ohpc-build/repo/rpm"
)

// Relations is what primary says of one package and its neighbours.
type Relations struct {
	Name, Arch string
	EVR        rpm.EVR
	ID         string // digest of the file, hexadecimal; names the package in the other data files
	Provides   []rpm.Dependency
	Requires   []rpm.Dependency
	Files      []string // primary ones only: see ReadFiles
}

// ReadRelations calls fn for each package of a primary data file, in its order.
func ReadRelations(r io.Reader, fn func(Relations) error) error {
	type dependencies struct {
		Entries []dependencyEntry `xml:"entry"`
	}
	_, err := eachPackage(r, "metadata", func(d *stdxml.Decoder, start *stdxml.StartElement) error {
		var p struct {
			Name    string `xml:"name"`
			Arch    string `xml:"arch"`
			Version struct {
				Epoch string `xml:"epoch,attr"`
				Ver   string `xml:"ver,attr"`
				Rel   string `xml:"rel,attr"`
			} `xml:"version"`
			Checksum string `xml:"checksum"`
			Format   struct {
				Provides dependencies `xml:"provides"`
				Requires dependencies `xml:"requires"`
				Files    []string     `xml:"file"`
			} `xml:"format"`
		}
		if err := d.DecodeElement(&p, start); err != nil {
			return err
		}
		return fn(Relations{
			Name: p.Name, Arch: p.Arch, ID: strings.TrimSpace(p.Checksum),
			EVR:      rpm.EVR{Epoch: p.Version.Epoch, Version: p.Version.Ver, Release: p.Version.Rel},
			Provides: dependencyList(p.Format.Provides.Entries),
			Requires: dependencyList(p.Format.Requires.Entries),
			Files:    p.Format.Files,
		})
	})
	return err
}

// dependencyEntry is one dependency as metadata write it.
type dependencyEntry struct {
	name, flags, epoch, ver, rel string
}

// UnmarshalXML reads the attributes; reflection takes several times as long.
func (e *dependencyEntry) UnmarshalXML(d *stdxml.Decoder, start stdxml.StartElement) error {
	for _, a := range start.Attr {
		switch a.Name.Local {
		case "name":
			e.name = a.Value
		case "flags":
			e.flags = a.Value
		case "epoch":
			e.epoch = a.Value
		case "ver":
			e.ver = a.Value
		case "rel":
			e.rel = a.Value
		}
	}
	return d.Skip()
}

// senses are the metadata's words for comparisons.
var senses = map[string]rpm.Sense{
	"LT": rpm.Less, "LE": rpm.Less | rpm.Equal, "EQ": rpm.Equal, "GE": rpm.Greater | rpm.Equal, "GT": rpm.Greater,
}

func dependencyList(entries []dependencyEntry) []rpm.Dependency {
	var result []rpm.Dependency
	for _, e := range entries {
		d := rpm.Dependency{Name: e.name, Flags: senses[e.flags]}
		if d.Flags != 0 && e.ver != "" {
			evr := rpm.EVR{Epoch: e.epoch, Version: e.ver, Release: e.rel}
			if evr.Epoch == "0" {
				evr.Epoch = "" // metadata write it where the package has none
			}
			d.Version = evr.String()
		}
		result = append(result, d)
	}
	return result
}

// ReadFiles calls fn for each file of each package of a filelists data file,
// with the package's ID.
func ReadFiles(r io.Reader, fn func(id, path string) error) error {
	_, err := eachPackage(r, "filelists", func(d *stdxml.Decoder, start *stdxml.StartElement) error {
		id := ""
		for _, a := range start.Attr {
			if a.Name.Local == "pkgid" {
				id = a.Value
			}
		}
		var path []byte
		for depth, inFile := 1, false; ; {
			token, err := d.Token()
			if err != nil {
				return err
			}
			switch t := token.(type) {
			case stdxml.StartElement:
				depth++
				inFile, path = depth == 2 && t.Name.Local == "file", path[:0]
			case stdxml.CharData:
				if inFile {
					path = append(path, t...)
				}
			case stdxml.EndElement:
				if depth--; depth == 0 {
					return nil
				}
				if inFile {
					if err := fn(id, string(path)); err != nil {
						return err
					}
				}
				inFile = false
			}
		}
	})
	return err
}
