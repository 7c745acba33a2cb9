package rpm

import (
	"cmp"
	"encoding/base64"
	"encoding/binary"
	"slices"
)

// Signature is one OpenPGP signature in a package's signature header.
type Signature struct {
	Tag        Tag
	HeaderOnly bool   // it covers the main header; otherwise header and payload
	Packet     []byte // the OpenPGP packet
}

// signatureTags hold signatures; all of them go when a package is signed anew.
var signatureTags = []Tag{SigDSA, SigRSA, SigOpenPGP, SigPGP, SigGPG, SigPGP5}

// has says whether the signature header has a tag that means something there:
// from number 1000 on, format 6 has none (rpm: format_v6.md; rpmvs.cc ignores
// them).
func (p *Package) has(tag Tag) bool {
	return p.signature.Has(tag) && (p.Format < 6 || tag < TagName)
}

// Signatures are the package's signatures, none of them verified. One whose
// tag does not hold what it should has no packet.
func (p *Package) Signatures() []Signature {
	var all []Signature
	for _, tag := range signatureTags {
		switch {
		case !p.has(tag):
		case tag == SigOpenPGP:
			for s := range p.signature.Strings(tag) {
				packet, err := base64.StdEncoding.DecodeString(s)
				if err != nil {
					packet = nil
				}
				all = append(all, Signature{Tag: tag, HeaderOnly: true, Packet: packet})
			}
		default:
			all = append(all, Signature{
				Tag:        tag,
				HeaderOnly: tag == SigDSA || tag == SigRSA,
				Packet:     p.signature.Binary(tag),
			})
		}
	}
	return all
}

// reserved is the room for signatures that rpm always leaves, in bytes.
const reserved = 32

// WithSignatures returns the bytes that stand before the main header in the
// package signed by these signatures and no others: the lead and a new
// signature header. It depends on nothing but the digests and sizes in the old
// one, so that signing twice gives what signing once gives. Each signature is
// written to its Tag: those of SigOpenPGP together, the others once each. A
// package of format 6 takes those over its header alone.
func (p *Package) WithSignatures(signatures ...Signature) []byte {
	type item struct {
		entry
		data string
	}
	var items []item
	for _, e := range p.signature.index {
		if slices.Contains(signatureTags, e.tag) || e.tag == SigReserved || e.tag == SigReservedSpace || !p.has(e.tag) {
			continue
		}
		items = append(items, item{e, p.signature.bytesOf(e)})
	}
	if p.Format >= 6 { // its signature header ends with this tag (rpm: signature.cc, rpmGenerateSignature)
		items = append(items, item{entry{tag: SigReserved, kind: kindBinary, count: reserved}, string(make([]byte, reserved))})
	}
	openPGP := item{entry: entry{tag: SigOpenPGP, kind: kindStringArray}}
	for _, s := range signatures {
		if s.Tag == SigOpenPGP {
			openPGP.count++
			openPGP.data += base64.StdEncoding.EncodeToString(s.Packet) + "\x00"
			continue
		}
		items = append(items, item{entry{tag: s.Tag, kind: kindBinary, count: uint32(len(s.Packet))}, string(s.Packet)})
	}
	if openPGP.count > 0 {
		items = append(items, openPGP)
	}
	slices.SortStableFunc(items, func(a, b item) int { return cmp.Compare(a.tag, b.tag) })

	var index, data []byte
	appendEntry := func(to []byte, e entry) []byte {
		to = binary.BigEndian.AppendUint32(to, uint32(e.tag))
		to = binary.BigEndian.AppendUint32(to, uint32(e.kind))
		to = binary.BigEndian.AppendUint32(to, e.offset)
		return binary.BigEndian.AppendUint32(to, e.count)
	}
	for _, it := range items {
		for uint32(len(data))%it.kind.align() != 0 {
			data = append(data, 0)
		}
		it.offset = uint32(len(data))
		index = appendEntry(index, it.entry)
		data = append(data, it.data...)
	}
	// The region covers the whole header: its entry comes first, its trailer
	// last, with the entries' size as a negative offset.
	region := entry{tag: tagHeaderSignatures, kind: kindBinary, offset: uint32(len(data)), count: entrySize}
	covered := (len(items) + 1) * entrySize
	data = appendEntry(data, entry{tag: tagHeaderSignatures, kind: kindBinary, offset: uint32(-int32(covered)), count: entrySize})

	out := append([]byte(p.lead), headerMagic...)
	out = binary.BigEndian.AppendUint32(out, uint32(len(items)+1))
	out = binary.BigEndian.AppendUint32(out, uint32(len(data)))
	out = appendEntry(out, region)
	out = append(append(out, index...), data...)
	for len(out)%8 != 0 {
		out = append(out, 0)
	}
	return out
}

// bytesOf is an entry's data, which check has measured.
func (h *Header) bytesOf(e entry) string {
	if !e.kind.isString() {
		return h.from(e)[:e.kind.width()*int(e.count)]
	}
	c := cursor{data: h.from(e), left: e.count}
	for {
		if _, ok := c.next(); !ok {
			return h.from(e)[:len(h.from(e))-len(c.data)]
		}
	}
}
