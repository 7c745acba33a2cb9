// Package content says in what two files differ, by what they are: of texts the
// lines, of ELF files the sections, of static libraries the members, of all others
// the first bytes. Files are those of strangers: what is read of them is bounded,
// and what is malformed is compared byte by byte.
package content
