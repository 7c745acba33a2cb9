package group

import (
	"cmp"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// The elements of comps.xml, in the order of its document type (comps.dtd).
type (
	document struct {
		XMLName      xml.Name      `xml:"comps"`
		Groups       []group       `xml:"group"`
		Categories   []category    `xml:"category"`
		Environments []environment `xml:"environment"`
	}
	group struct {
		ID       string       `xml:"id"`
		Names    []translated `xml:"name"`
		Abouts   []translated `xml:"description"`
		Default  string       `xml:"default"`
		Visible  string       `xml:"uservisible"`
		Order    string       `xml:"display_order,omitempty"`
		Packages []member     `xml:"packagelist>packagereq"`
	}
	member struct {
		Type     string `xml:"type,attr"`
		Requires string `xml:"requires,attr,omitempty"`
		Name     string `xml:",chardata"`
	}
	category struct {
		ID     string       `xml:"id"`
		Names  []translated `xml:"name"`
		Abouts []translated `xml:"description"`
		Order  string       `xml:"display_order,omitempty"`
		Groups []string     `xml:"grouplist>groupid"`
	}
	environment struct {
		ID      string       `xml:"id"`
		Names   []translated `xml:"name"`
		Abouts  []translated `xml:"description"`
		Order   string       `xml:"display_order,omitempty"`
		Groups  []string     `xml:"grouplist>groupid"`
		Options []string     `xml:"optionlist>groupid"`
	}
	translated struct {
		Lang string `xml:"http://www.w3.org/XML/1998/namespace lang,attr,omitempty"`
		Text string `xml:",chardata"`
	}
)

// The kinds of a group's packages.
const (
	mandatory   = "mandatory"
	preset      = "default"
	optional    = "optional"
	conditional = "conditional"
)

const doctype = `<!DOCTYPE comps PUBLIC "-//Red Hat, Inc.//DTD Comps info//EN" "comps.dtd">` + "\n"

// maxComps bounds comps.xml in bytes; the largest distributions' have a few million.
const maxComps = 64 << 20

// Write writes comps.xml. It fails, before anything is written, when an ID or a
// package's name cannot be one, comes twice, or is not there.
func Write(w io.Writer, c Comps) error {
	c, err := c.sorted()
	if err != nil {
		return fmt.Errorf("writing package groups: %w", err)
	}
	doc := document{}
	for _, g := range c.Groups {
		x := group{
			ID: g.ID, Names: text(cmp.Or(g.Name, g.ID)), Abouts: text(g.Description),
			Default: strconv.FormatBool(g.Default), Visible: strconv.FormatBool(!g.Hidden), Order: order(g.Order),
		}
		for _, l := range []struct {
			kind  string
			names []string
		}{{mandatory, g.Mandatory}, {preset, g.Preset}, {optional, g.Optional}} {
			for _, n := range l.names {
				x.Packages = append(x.Packages, member{Type: l.kind, Name: n})
			}
		}
		for _, p := range g.Conditional {
			x.Packages = append(x.Packages, member{Type: conditional, Requires: p.Requires, Name: p.Name})
		}
		doc.Groups = append(doc.Groups, x)
	}
	for _, k := range c.Categories {
		doc.Categories = append(doc.Categories, category{k.ID, text(cmp.Or(k.Name, k.ID)), text(k.Description), order(k.Order), k.Groups})
	}
	for _, e := range c.Environments {
		doc.Environments = append(doc.Environments,
			environment{e.ID, text(cmp.Or(e.Name, e.ID)), text(e.Description), order(e.Order), e.Groups, e.Options})
	}
	b, err := xml.MarshalIndent(doc, "", "  ")
	if err != nil {
		return fmt.Errorf("writing package groups: %w", err)
	}
	if _, err := io.WriteString(w, xml.Header+doctype+string(b)+"\n"); err != nil {
		return fmt.Errorf("writing package groups: %w", err)
	}
	return nil
}

func text(s string) []translated { return []translated{{Text: s}} }

func order(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}

// Read reads comps.xml. Of texts in several languages it takes the untranslated
// one; what it does not know it leaves out.
func Read(r io.Reader) (Comps, error) {
	limited := &io.LimitedReader{R: r, N: maxComps + 1}
	var doc document
	d := xml.NewDecoder(limited)
	err := d.Decode(&doc)
	if err == nil {
		_, err = io.Copy(io.Discard, limited) // what follows; a verifying reader verifies at its end
	}
	if limited.N <= 0 {
		err = fmt.Errorf("they have more than %d bytes", maxComps)
	}
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return Comps{}, fmt.Errorf("reading package groups: %w", err)
	}
	var c Comps
	for _, x := range doc.Groups {
		g := Group{
			ID: trim(x.ID), Name: plain(x.Names), Description: plain(x.Abouts), Order: number(x.Order),
			Default: yes(x.Default, false), Hidden: !yes(x.Visible, true),
		}
		for _, m := range x.Packages {
			n := trim(m.Name)
			switch m.Type {
			case mandatory, "":
				g.Mandatory = append(g.Mandatory, n)
			case preset:
				g.Preset = append(g.Preset, n)
			case optional:
				g.Optional = append(g.Optional, n)
			case conditional:
				g.Conditional = append(g.Conditional, Conditional{n, m.Requires})
			}
		}
		c.Groups = append(c.Groups, g)
	}
	for _, x := range doc.Categories {
		c.Categories = append(c.Categories, Category{trim(x.ID), plain(x.Names), plain(x.Abouts), number(x.Order), trimAll(x.Groups)})
	}
	for _, x := range doc.Environments {
		c.Environments = append(c.Environments,
			Environment{trim(x.ID), plain(x.Names), plain(x.Abouts), number(x.Order), trimAll(x.Groups), trimAll(x.Options)})
	}
	return c, nil
}

// plain is the text that is in no language.
func plain(list []translated) string {
	for _, t := range list {
		if t.Lang == "" {
			return t.Text
		}
	}
	return ""
}

func yes(s string, unsaid bool) bool {
	b, err := strconv.ParseBool(trim(s))
	if err != nil {
		return unsaid
	}
	return b
}

// number is 0 where there is none, as for something without a place of its own.
func number(s string) int {
	n, err := strconv.Atoi(trim(s))
	if err != nil {
		return 0
	}
	return n
}

func trim(s string) string { return strings.TrimSpace(s) }

func trimAll(list []string) []string {
	for i, s := range list {
		list[i] = trim(s)
	}
	return list
}
