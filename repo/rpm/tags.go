package rpm

// Tag numbers one entry of a header (rpm: rpmtag.h).
type Tag uint32

// Regions: the first entry of a header, whose data is the trailer that says
// how much of the header is immutable.
const (
	tagHeaderImage      Tag = 61
	tagHeaderSignatures Tag = 62
	tagHeaderImmutable  Tag = 63

	// tagFirst is the first number that is no region (rpm: HEADER_I18NTABLE).
	tagFirst Tag = 100
)

// Tags of the signature header.
const (
	SigDSA             Tag = 267  // signature over the main header: DSA, EdDSA
	SigRSA             Tag = 268  // signature over the main header: RSA
	SigSHA1            Tag = 269  // digest of the main header, hexadecimal
	SigLongSize        Tag = 270  // main header and payload, bytes
	SigLongArchiveSize Tag = 271  // payload uncompressed, bytes
	SigSHA256          Tag = 273  // digest of the main header, hexadecimal
	SigOpenPGP         Tag = 278  // rpm 6: any number of signatures, base64
	SigSHA3            Tag = 279  // rpm 6: SHA3-256 digest of the main header, hexadecimal
	SigReserved        Tag = 999  // rpm 6: room for signatures
	SigSize            Tag = 1000 // main header and payload, bytes
	SigPGP             Tag = 1002 // signature over main header and payload: RSA
	SigMD5             Tag = 1004 // digest of main header and payload
	SigGPG             Tag = 1005 // signature over main header and payload: DSA, EdDSA
	SigPGP5            Tag = 1006 // obsolete
	SigPayloadSize     Tag = 1007 // payload uncompressed, bytes
	SigReservedSpace   Tag = 1008 // room for signatures
)

// Tags of the main header, as far as the project reads them.
const (
	TagName              Tag = 1000
	TagVersion           Tag = 1001
	TagRelease           Tag = 1002
	TagEpoch             Tag = 1003
	TagSummary           Tag = 1004
	TagDescription       Tag = 1005
	TagBuildTime         Tag = 1006
	TagBuildHost         Tag = 1007
	TagSize              Tag = 1009
	TagVendor            Tag = 1011
	TagLicense           Tag = 1014
	TagPackager          Tag = 1015
	TagGroup             Tag = 1016
	TagURL               Tag = 1020
	TagArch              Tag = 1022
	TagOldFileNames      Tag = 1027
	TagFileSizes         Tag = 1028
	TagFileModes         Tag = 1030
	TagFileMTimes        Tag = 1034
	TagFileDigests       Tag = 1035
	TagFileLinkTos       Tag = 1036
	TagFileFlags         Tag = 1037
	TagFileUserName      Tag = 1039
	TagFileGroupName     Tag = 1040
	TagSourceRPM         Tag = 1044
	TagArchiveSize       Tag = 1046
	TagProvideName       Tag = 1047
	TagRequireFlags      Tag = 1048
	TagRequireName       Tag = 1049
	TagRequireVersion    Tag = 1050
	TagNoSource          Tag = 1051 // numbers of the sources that a source package leaves out
	TagNoPatch           Tag = 1052
	TagConflictFlags     Tag = 1053
	TagConflictName      Tag = 1054
	TagConflictVersion   Tag = 1055
	TagChangelogTime     Tag = 1080
	TagChangelogName     Tag = 1081
	TagChangelogText     Tag = 1082
	TagObsoleteName      Tag = 1090
	TagSourcePackage     Tag = 1106
	TagProvideFlags      Tag = 1112
	TagProvideVersion    Tag = 1113
	TagObsoleteFlags     Tag = 1114
	TagObsoleteVersion   Tag = 1115
	TagDirIndexes        Tag = 1116
	TagBaseNames         Tag = 1117
	TagDirNames          Tag = 1118
	TagPayloadFormat     Tag = 1124
	TagPayloadCompressor Tag = 1125
	TagLongFileSizes     Tag = 5008
	TagLongSize          Tag = 5009
	TagFileDigestAlgo    Tag = 5011
	TagRecommendName     Tag = 5046
	TagRecommendVersion  Tag = 5047
	TagRecommendFlags    Tag = 5048
	TagSuggestName       Tag = 5049
	TagSuggestVersion    Tag = 5050
	TagSuggestFlags      Tag = 5051
	TagSupplementName    Tag = 5052
	TagSupplementVersion Tag = 5053
	TagSupplementFlags   Tag = 5054
	TagEnhanceName       Tag = 5055
	TagEnhanceVersion    Tag = 5056
	TagEnhanceFlags      Tag = 5057
	tagCookie            Tag = 1094
	tagOptFlags          Tag = 1122
	tagPlatform          Tag = 1132
	tagSourcePkgID       Tag = 1146
	TagPayloadDigest     Tag = 5092 // payload as it is in the file, hexadecimal
	TagPayloadDigestAlgo Tag = 5093
	TagPayloadDigestAlt  Tag = 5097 // payload uncompressed
	TagPayloadSize       Tag = 5112 // format 6: payload as it is in the file, bytes
	TagPayloadSizeAlt    Tag = 5113 // payload uncompressed, bytes
	TagFormat            Tag = 5114 // format 6 and later
	TagSourceNEVR        Tag = 5120 // format 6
	TagPayloadSHA512     Tag = 5121
	TagPayloadSHA512Alt  Tag = 5122
	TagPayloadSHA3       Tag = 5123 // SHA3-256
	TagPayloadSHA3Alt    Tag = 5124
)

// kind is how an entry's data is stored (rpm: rpmTagType).
type kind uint32

const (
	kindNull        kind = 0
	kindChar        kind = 1
	kindInt8        kind = 2
	kindInt16       kind = 3
	kindInt32       kind = 4
	kindInt64       kind = 5
	kindString      kind = 6
	kindBinary      kind = 7
	kindStringArray kind = 8
	kindI18N        kind = 9
)

// width is the size of one element in bytes, 0 for strings and null.
func (k kind) width() int {
	switch k {
	case kindChar, kindInt8, kindBinary:
		return 1
	case kindInt16:
		return 2
	case kindInt32:
		return 4
	case kindInt64:
		return 8
	default:
		return 0
	}
}

// align is what an element's offset must be a multiple of.
func (k kind) align() uint32 {
	switch k {
	case kindInt16:
		return 2
	case kindInt32:
		return 4
	case kindInt64:
		return 8
	default:
		return 1
	}
}

func (k kind) isString() bool {
	return k == kindString || k == kindStringArray || k == kindI18N
}

// knownKind is the kind that rpm demands of a main header's tag, kindNull for
// tags that the project does not read. rpm refuses a package in which a known
// tag has another kind, except that strings may disagree on which kind of
// string they are (rpm: hdrchkTagType).
func knownKind(t Tag) kind {
	switch t {
	case TagName, TagVersion, TagRelease, TagSummary, TagDescription, TagBuildHost,
		TagVendor, TagLicense, TagPackager, TagGroup, TagURL, TagArch, TagSourceRPM,
		TagPayloadFormat, TagPayloadCompressor, TagSourceNEVR,
		TagPayloadSHA512, TagPayloadSHA512Alt, TagPayloadSHA3, TagPayloadSHA3Alt:
		return kindString
	case TagOldFileNames, TagFileDigests, TagFileLinkTos, TagFileUserName, TagFileGroupName,
		TagProvideName, TagProvideVersion, TagRequireName, TagRequireVersion,
		TagConflictName, TagConflictVersion, TagObsoleteName, TagObsoleteVersion,
		TagRecommendName, TagRecommendVersion, TagSuggestName, TagSuggestVersion,
		TagSupplementName, TagSupplementVersion, TagEnhanceName, TagEnhanceVersion,
		TagChangelogName, TagChangelogText, TagBaseNames, TagDirNames, TagPayloadDigest, TagPayloadDigestAlt:
		return kindStringArray
	case TagFileModes:
		return kindInt16
	case TagEpoch, TagBuildTime, TagSize, TagFileSizes, TagFileMTimes, TagFileFlags,
		TagArchiveSize, TagRequireFlags, TagConflictFlags, TagChangelogTime, TagSourcePackage,
		TagProvideFlags, TagObsoleteFlags, TagDirIndexes, TagFileDigestAlgo, TagRecommendFlags,
		TagSuggestFlags, TagSupplementFlags, TagEnhanceFlags, TagPayloadDigestAlgo,
		TagNoSource, TagNoPatch, TagFormat:
		return kindInt32
	case TagLongFileSizes, TagLongSize, TagPayloadSize, TagPayloadSizeAlt:
		return kindInt64
	default:
		return kindNull
	}
}
