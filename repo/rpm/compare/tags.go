package compare

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ohpc-build/ohpc-build/repo/rpm"
	"github.com/ohpc-build/ohpc-build/repo/rpm/compare/text"
)

// dependencyKinds are the three parallel arrays of each kind of dependency,
// which are told together.
var dependencyKinds = []struct {
	name string
	tags [3]rpm.Tag
}{
	{"Requires", [3]rpm.Tag{rpm.TagRequireName, rpm.TagRequireFlags, rpm.TagRequireVersion}},
	{"Provides", [3]rpm.Tag{rpm.TagProvideName, rpm.TagProvideFlags, rpm.TagProvideVersion}},
	{"Conflicts", [3]rpm.Tag{rpm.TagConflictName, rpm.TagConflictFlags, rpm.TagConflictVersion}},
	{"Obsoletes", [3]rpm.Tag{rpm.TagObsoleteName, rpm.TagObsoleteFlags, rpm.TagObsoleteVersion}},
	{"Recommends", [3]rpm.Tag{rpm.TagRecommendName, rpm.TagRecommendFlags, rpm.TagRecommendVersion}},
	{"Suggests", [3]rpm.Tag{rpm.TagSuggestName, rpm.TagSuggestFlags, rpm.TagSuggestVersion}},
	{"Supplements", [3]rpm.Tag{rpm.TagSupplementName, rpm.TagSupplementFlags, rpm.TagSupplementVersion}},
	{"Enhances", [3]rpm.Tag{rpm.TagEnhanceName, rpm.TagEnhanceFlags, rpm.TagEnhanceVersion}},
}

// Tags that follow from what is told of files.
var (
	told = []rpm.Tag{
		rpm.TagOldFileNames, rpm.TagBaseNames, rpm.TagDirNames, rpm.TagDirIndexes, rpm.TagFileModes, rpm.TagFileFlags,
		rpm.TagFileMTimes, rpm.TagFileDigests, rpm.TagFileLinkTos, rpm.TagFileUserName, rpm.TagFileGroupName,
		rpm.TagFileSizes, rpm.TagLongFileSizes,
	}
	sums     = []rpm.Tag{rpm.TagSize, rpm.TagLongSize, rpm.TagArchiveSize, tagLongArchiveSize}
	payloads = []rpm.Tag{rpm.TagPayloadDigest, tagPayloadDigestAlt}
	times    = []rpm.Tag{rpm.TagBuildTime, rpm.TagChangelogTime}
)

// Tags whose elements have no meaning without others (rpm: rpmtag.h).
const (
	tagLongArchiveSize  rpm.Tag = 271
	tagPayloadDigestAlt rpm.Tag = 5097
	tagFileRdevs        rpm.Tag = 1033
	tagFileVerifyFlags  rpm.Tag = 1045
	tagFileDevices      rpm.Tag = 1095
	tagFileInodes       rpm.Tag = 1096
	tagFileLangs        rpm.Tag = 1097
	tagFileColors       rpm.Tag = 1140
	tagFileClass        rpm.Tag = 1141
	tagFileDependsX     rpm.Tag = 1143
	tagFileDependsN     rpm.Tag = 1144
	tagClassDict        rpm.Tag = 1142
	tagDependsDict      rpm.Tag = 1145
	tagFileCaps         rpm.Tag = 5010
)

// perFile tags have one element for each file.
var perFile = []rpm.Tag{
	tagFileRdevs, tagFileVerifyFlags, tagFileDevices, tagFileInodes, tagFileLangs, tagFileColors, tagFileClass,
	tagFileDependsX, tagFileDependsN, tagFileCaps,
}

// header compares tag by tag.
func (c *comparison) header(files *fileLists) {
	x, y := c.a.Header(), c.b.Header()
	skip := slices.Concat(told, payloads)
	if files.sizes || !files.same {
		skip = append(skip, sums...)
	}
	if !files.same {
		skip = append(append(skip, perFile...), tagClassDict, tagDependsDict)
	}
	for _, k := range dependencyKinds {
		if c.dependencies(k.name, k.tags) {
			skip = append(skip, k.tags[:]...)
		}
	}
	tags := slices.AppendSeq(slices.Collect(x.Tags()), y.Tags())
	slices.Sort(tags)
	for _, tag := range slices.Compact(tags) {
		if !slices.Contains(skip, tag) && !x.SameEntry(y, tag) {
			c.tag(tag, files)
		}
	}
}

// digests tells of a payload that is written in another way.
func (c *comparison) digests() {
	for _, tag := range payloads {
		if !c.a.Header().SameEntry(c.b.Header(), tag) {
			a, b := text.Shorten(c.a.Header().Text(tag), c.b.Header().Text(tag))
			c.add(Difference{Tag: Name(tag), Part: "the same files, archived or compressed otherwise", A: a, B: b})
		}
	}
}

// dependencies compares one kind of dependency as a list, and says whether that
// told a difference.
func (c *comparison) dependencies(name string, tags [3]rpm.Tag) bool {
	x, y := list(c.a.Header(), tags), list(c.b.Header(), tags)
	if slices.Equal(x, y) {
		return false
	}
	first, second := without(x, y), without(y, x)
	if len(first)+len(second) == 0 {
		i := firstDifference(x, y)
		c.add(Difference{Tag: name, Part: fmt.Sprintf("order, at the %d.", i+1), A: at(x, i), B: at(y, i)})
		return true
	}
	a, b := text.Shorten(strings.Join(first, ", "), strings.Join(second, ", "))
	c.add(Difference{Tag: name, A: a, B: b})
	return true
}

func list(h *rpm.Header, tags [3]rpm.Tag) []string {
	names := slices.Collect(h.Strings(tags[0]))
	versions := slices.Collect(h.Strings(tags[2]))
	flags := h.Ints(tags[1])
	for i := range names {
		d := rpm.Dependency{Name: names[i], Flags: rpm.Sense(flags.At(i))}
		if i < len(versions) {
			d.Version = versions[i]
		}
		names[i] = d.String()
	}
	return names
}

// tag tells in what two values of a tag differ.
func (c *comparison) tag(tag rpm.Tag, files *fileLists) {
	x, y := slices.Collect(c.a.Header().Values(tag)), slices.Collect(c.b.Header().Values(tag))
	if slices.Contains(times, tag) {
		x, y = stamps(x), stamps(y)
	}
	name := Name(tag)
	switch {
	case len(x) == 1 && len(y) == 1:
		c.add(value(Difference{Tag: name}, x[0], y[0]))
	case len(x) != len(y):
		a, b := text.Shorten(strings.Join(without(x, y), ", "), strings.Join(without(y, x), ", "))
		c.add(Difference{Tag: name, Part: fmt.Sprintf("%d and %d elements", len(x), len(y)), A: a, B: b})
	default:
		c.elements(tag, x, y, files)
	}
}

// elements compares two lists of one length, element by element.
func (c *comparison) elements(tag rpm.Tag, x, y []string, files *fileLists) {
	told := 0
	for i := range x {
		if x[i] == y[i] {
			continue
		}
		if told++; told > maxPerTag {
			c.result.Further++
			continue
		}
		d := Difference{Tag: Name(tag), Part: fmt.Sprintf("the %d. element", i+1)}
		if slices.Contains(perFile, tag) && i < len(files.paths) {
			d.File, d.Part = files.paths[i], ""
		}
		c.add(value(d, x[i], y[i]))
	}
	if told == 0 {
		c.add(Difference{Tag: Name(tag), Part: "kind of value"})
	}
}

// value completes a difference between two texts.
func value(d Difference, a, b string) Difference {
	if strings.Contains(a, "\n") || strings.Contains(b, "\n") {
		if d.Diff = text.Unified(a, b); d.Diff != "" {
			return d
		}
	}
	d.A, d.B = text.Shorten(a, b)
	return d
}

func stamps(values []string) []string {
	for i, v := range values {
		if n, err := strconv.ParseInt(v, 10, 64); err == nil {
			values[i] = stamp(time.Unix(n, 0))
		}
	}
	return values
}

// without is what is in list more often than in other.
func without(list, other []string) []string {
	count := map[string]int{}
	for _, s := range other {
		count[s]++
	}
	var left []string
	for _, s := range list {
		if count[s]--; count[s] < 0 {
			left = append(left, s)
		}
	}
	return left
}

func firstDifference(x, y []string) int {
	for i := range min(len(x), len(y)) {
		if x[i] != y[i] {
			return i
		}
	}
	return min(len(x), len(y))
}

func at(list []string, i int) string {
	if i >= len(list) {
		return ""
	}
	s, _ := text.Shorten(list[i], "")
	return s
}
