package updateinfo

import (
	"cmp"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ohpc-build/ohpc-build/repo/rpmmd"
)

// The elements of updateinfo.xml, in the order in which createrepo_c writes them.
type (
	update struct {
		XMLName     xml.Name     `xml:"update"`
		From        string       `xml:"from,attr"`
		Status      string       `xml:"status,attr"`
		Type        string       `xml:"type,attr"`
		Version     string       `xml:"version,attr"`
		ID          string       `xml:"id"`
		Title       string       `xml:"title"`
		Issued      date         `xml:"issued"`
		Updated     *date        `xml:"updated,omitempty"`
		Rights      string       `xml:"rights,omitempty"`
		Release     string       `xml:"release,omitempty"`
		Severity    string       `xml:"severity,omitempty"`
		Description string       `xml:"description"`
		References  []reference  `xml:"references>reference"`
		Collections []collection `xml:"pkglist>collection"`
	}
	date struct {
		Date string `xml:"date,attr"`
	}
	reference struct {
		Href  string `xml:"href,attr"`
		ID    string `xml:"id,attr"`
		Title string `xml:"title,attr"`
		Type  string `xml:"type,attr"`
	}
	collection struct {
		Name     string   `xml:"name"`
		Packages []member `xml:"package"`
	}
	member struct {
		Name     string `xml:"name,attr"`
		Version  string `xml:"version,attr"`
		Release  string `xml:"release,attr"`
		Epoch    string `xml:"epoch,attr"`
		Arch     string `xml:"arch,attr"`
		Source   string `xml:"src,attr"`
		FileName string `xml:"filename"`
		Sum      *sum   `xml:"sum"`
	}
	sum struct {
		Type  string `xml:"type,attr"`
		Value string `xml:",chardata"`
	}
)

const (
	dateFormat = "2006-01-02 15:04:05"
	// maxUpdate bounds one advisory in bytes, maxAll all of them; those of large
	// distributions have a hundred million.
	maxUpdate = 8 << 20
	maxAll    = 1 << 30
)

// Write writes updateinfo.xml with the advisories as they come. It fails when
// two have one ID.
func Write(w io.Writer, advisories []Advisory) error {
	seen := map[string]bool{}
	if _, err := io.WriteString(w, xml.Header+"<updates>\n"); err != nil {
		return fmt.Errorf("writing advisories: %w", err)
	}
	e := xml.NewEncoder(w)
	e.Indent("  ", "  ")
	for _, a := range advisories {
		if a.ID == "" || seen[a.ID] {
			return fmt.Errorf("writing advisories: the ID %q is not one advisory's alone", a.ID)
		}
		seen[a.ID] = true
		if err := e.Encode(a.element()); err != nil {
			return fmt.Errorf("writing advisory %s: %w", a.ID, err)
		}
	}
	end := "</updates>\n"
	if len(advisories) > 0 {
		end = "\n" + end
	}
	if _, err := io.WriteString(w, end); err != nil {
		return fmt.Errorf("writing advisories: %w", err)
	}
	return nil
}

func (a Advisory) element() update {
	u := update{
		From: a.From, Status: cmp.Or(a.Status, "final"), Type: string(a.Kind), Version: cmp.Or(a.Version, "1"),
		ID: a.ID, Title: a.Title, Issued: date{a.Issued.UTC().Format(dateFormat)}, Rights: a.Rights, Release: a.Release,
		Severity: a.Severity, Description: a.Description,
	}
	if !a.Updated.IsZero() {
		u.Updated = &date{a.Updated.UTC().Format(dateFormat)}
	}
	for _, r := range a.References {
		u.References = append(u.References, reference{Href: r.URL, ID: r.ID, Title: r.Title, Type: r.Kind})
	}
	c := collection{Name: cmp.Or(a.Release, a.ID)}
	for _, p := range a.Packages {
		m := member{
			Name: p.Name, Version: p.Version, Release: p.Release, Epoch: cmp.Or(p.Epoch, "0"), Arch: p.Arch, Source: p.Source,
			FileName: p.FileName,
		}
		if p.Checksum.Type != "" {
			m.Sum = &sum{p.Checksum.Type, p.Checksum.Value}
		}
		c.Packages = append(c.Packages, m)
	}
	u.Collections = []collection{c}
	return u
}

// Read reads updateinfo.xml to its end. The packages of several collections come
// in one list. A date that cannot be read is the zero time.
func Read(r io.Reader) ([]Advisory, error) {
	limited := &limitedReader{r: r, total: maxAll}
	var all []Advisory
	d := xml.NewDecoder(limited)
	for depth := 0; ; {
		limited.left = maxUpdate
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("reading advisories: %w", err)
		}
		switch t := token.(type) {
		case xml.StartElement:
			switch {
			case depth == 0 && t.Name.Local == "updates":
				depth++
				continue
			case depth == 0:
				return nil, fmt.Errorf("reading advisories: it begins with <%s>, expected <updates>", t.Name.Local)
			case t.Name.Local != "update":
				err = d.Skip()
			default:
				var u update
				if err = d.DecodeElement(&u, &t); err == nil {
					all = append(all, u.advisory())
				}
			}
			if err != nil {
				return nil, fmt.Errorf("reading advisories: %w", err)
			}
		case xml.EndElement:
			depth--
		}
	}
	if _, err := io.Copy(io.Discard, limited.r); err != nil { // a verifying reader verifies at its end
		return nil, fmt.Errorf("reading advisories: %w", err)
	}
	return all, nil
}

func (u update) advisory() Advisory {
	a := Advisory{
		ID: strings.TrimSpace(u.ID), Kind: Kind(u.Type), Severity: strings.TrimSpace(u.Severity), Title: u.Title, Description: u.Description,
		From: u.From, Status: u.Status, Version: u.Version, Release: u.Release, Rights: u.Rights, Issued: parseDate(u.Issued.Date),
	}
	if u.Updated != nil {
		a.Updated = parseDate(u.Updated.Date)
	}
	for _, r := range u.References {
		a.References = append(a.References, Reference{Kind: r.Type, ID: r.ID, Title: r.Title, URL: r.Href})
	}
	for _, c := range u.Collections {
		for _, m := range c.Packages {
			p := Update{
				Name: m.Name, Version: m.Version, Release: m.Release, Epoch: cmp.Or(m.Epoch, "0"), Arch: m.Arch, Source: m.Source,
				FileName: strings.TrimSpace(m.FileName),
			}
			if m.Sum != nil {
				p.Checksum = rpmmd.Checksum{Type: m.Sum.Type, Value: strings.TrimSpace(m.Sum.Value)}
			}
			a.Packages = append(a.Packages, p)
		}
	}
	a.References, a.Packages = slices.Clip(a.References), slices.Clip(a.Packages)
	return a
}

// parseDate reads the forms that are found in the wild.
func parseDate(s string) time.Time {
	s = strings.TrimSuffix(strings.TrimSpace(s), " UTC")
	for _, f := range []string{dateFormat, time.DateOnly, time.RFC3339} {
		if t, err := time.Parse(f, s); err == nil {
			return t.UTC()
		}
	}
	if n, err := strconv.ParseInt(s, 10, 64); err == nil && n > 0 && n < 1<<36 {
		return time.Unix(n, 0).UTC()
	}
	return time.Time{}
}

// limitedReader fails when more is read than left or total allow.
type limitedReader struct {
	r           io.Reader
	left, total int
}

func (l *limitedReader) Read(b []byte) (int, error) {
	n, err := l.r.Read(b)
	l.left -= n
	if l.total -= n; l.total < 0 || l.left < 0 {
		return n, fmt.Errorf("one has more than %d bytes, or all have more than %d", maxUpdate, maxAll)
	}
	return n, err
}
