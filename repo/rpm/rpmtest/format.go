package rpmtest

import (
	"bytes"
	"compress/gzip"
	"crypto/md5"
	"crypto/sha256"
	"crypto/sha3"
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"slices"
	"testing"
)

// format3 is the package as rpm 2 and 3 wrote it (rpm: format_v3.md): headers
// without regions, and the size and MD5 of all that follows the signature header.
func (c Craft) format3() []byte {
	main := Header(0, replace(nil, c.Main))
	content := slices.Concat(main, c.Payload)
	sum := md5.Sum(content)
	signature := Header(0, replace([]Entry{
		Int32s(1000, uint32(len(content))), Binary(1004, sum[:]),
	}, c.Signature))
	return slices.Concat(Lead(), pad(signature, 8), content)
}

// format6 is the package as rpm 6 writes it, after its documentation and the
// source of its writer (rpm: format_v6.md; pack.cc, writeRPM; signature.cc,
// rpmGenerateSignature).
func (c Craft) format6() []byte {
	open := c.Open
	if open == nil {
		open = c.Payload
	}
	sum256, open256 := sha256.Sum256(c.Payload), sha256.Sum256(open)
	sum512, open512 := sha512.Sum512(c.Payload), sha512.Sum512(open)
	sum3, open3 := sha3.Sum256(c.Payload), sha3.Sum256(open)
	text := hex.EncodeToString
	main := Header(63, replace([]Entry{
		Text(5062, "utf-8"),
		Texts(5092, text(sum256[:])), Texts(5097, text(open256[:])),
		Int64s(5112, uint64(len(c.Payload))), Int64s(5113, uint64(len(open))),
		Int32s(5114, 6),
		Text(5121, text(sum512[:])), Text(5122, text(open512[:])),
		Text(5123, text(sum3[:])), Text(5124, text(open3[:])),
	}, c.Main))
	header256, header3 := sha256.Sum256(main), sha3.Sum256(main)
	signature := Header(62, replace([]Entry{
		Text(273, text(header256[:])), Text(279, text(header3[:])), Binary(999, make([]byte, 4128)),
	}, c.Signature))
	lead := Lead()
	lead[4], lead[9], lead[77] = 4, 0, 0 // neither architecture nor system is said there any more
	return slices.Concat(lead, pad(signature, 8), main, c.Payload)
}

// Format6 is a package of format 6 that rpm 4 can install, too: it holds one file
// of that path and content.
func Format6(t testing.TB, name, path, content string, more ...Entry) Craft {
	t.Helper()
	slash := len(path) - len(path[bytes.LastIndexByte([]byte(path), '/')+1:])
	sum := sha256.Sum256([]byte(content))
	c := Simple(name, "1", "1", "noarch").Without(1009).With(
		Int16s(1030, 0o100644), Int16s(1033, 0), Int32s(1034, 1700000000), Texts(1035, hex.EncodeToString(sum[:])),
		Texts(1036, ""), Int32s(1037, 0), Texts(1039, "root"), Texts(1040, "root"), Int32s(1045, 0xffffffff),
		Int32s(1095, 1), Int32s(1096, 1), Texts(1097, ""),
		Int32s(1116, 0), Texts(1117, path[slash:]), Texts(1118, path[:slash]),
		Int64s(5008, uint64(len(content))), Int64s(5009, uint64(len(content))), Int32s(5011, 8),
		Text(5120, name+"-1-1"),
	).With(more...)
	c.Format = 6
	// A stripped archive: of each file its number alone (rpm: cpio.cc).
	archive := pad(fmt.Appendf(nil, "07070X%08x", 0), 4)
	archive = pad(append(archive, content...), 4)
	archive = fmt.Appendf(archive, "07070100000000000000000000000000000000000000010000000000000000000000000000000000000000000000000000000b00000000TRAILER!!!\x00")
	c.Open = pad(archive, 4)
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write(c.Open); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	c.Payload = b.Bytes()
	return c
}
