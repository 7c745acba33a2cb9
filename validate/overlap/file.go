package overlap

import (
	"fmt"
	"iter"

	"github.com/ohpc-build/ohpc-build/repo/rpm"
)

// file is one package's file at a path.
type file struct {
	rpm.File
	by        int32
	device    uint64
	colour    uint32
	algorithm uint64
}

// Tags that only this comparison wants (rpm: rpmtag.h).
const (
	tagFileDevices rpm.Tag = 1033 // of devices, their numbers
	tagFileColors  rpm.Tag = 1140 // 1: ELF of 32 bits, 2: of 64
)

func filesOf(p *rpm.Package) iter.Seq[file] {
	devices, colours := p.Header().Ints(tagFileDevices), p.Header().Ints(tagFileColors)
	algorithm := p.Header().Ints(rpm.TagFileDigestAlgo).At(0)
	return func(yield func(file) bool) {
		i := 0
		for f := range p.Files() {
			if !yield(file{File: f, device: devices.At(i), colour: uint32(colours.At(i)), algorithm: algorithm}) {
				return
			}
			i++
		}
	}
}

const (
	modeType      = 0o170000
	modeRegular   = 0o100000
	modeLink      = 0o120000
	modeCharacter = 0o020000
	modeBlock     = 0o060000
)

// differs says in what two files of a path, neither of them a ghost, differ as far as
// rpm minds, or nothing (rpm: rpmfilesCompare, handleColorConflict).
func (a file) differs(b file, colour uint32) string {
	if x, y := a.colour&colour, b.colour&colour; x != 0 && y != 0 && x != y {
		return "" // of the two, rpm installs the one that the machine prefers
	}
	if a.Mode != b.Mode {
		return fmt.Sprintf("with the mode %06o in place of %06o", b.Mode, a.Mode)
	}
	kind := a.Mode & modeType
	if (kind == modeRegular || kind == modeLink) && a.Size != b.Size {
		return fmt.Sprintf("of %d bytes in place of %d", b.Size, a.Size)
	}
	if a.User != b.User || a.Group != b.Group {
		return fmt.Sprintf("owned by %s:%s in place of %s:%s", b.User, b.Group, a.User, a.Group)
	}
	switch {
	case kind == modeLink && a.LinkTo != b.LinkTo:
		return fmt.Sprintf("a link to %s in place of %s", b.LinkTo, a.LinkTo)
	case kind == modeRegular && (a.Digest != b.Digest || a.Digest != "" && a.algorithm != b.algorithm):
		return "with other content"
	case (kind == modeCharacter || kind == modeBlock) && a.device != b.device:
		return "as another device"
	}
	return ""
}
