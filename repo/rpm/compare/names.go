package compare

import (
	"strconv"

	"github.com/ohpc-build/ohpc-build/repo/rpm"
)

// Name is what rpm calls a tag (rpm: rpmtag.h), or its number.
func Name(tag rpm.Tag) string {
	if name, ok := names[tag]; ok {
		return name
	}
	return strconv.FormatUint(uint64(tag), 10)
}

var names = map[rpm.Tag]string{
	100:  "HeaderI18NTable",
	1000: "Name", 1001: "Version", 1002: "Release", 1003: "Epoch", 1004: "Summary", 1005: "Description",
	1006: "BuildTime", 1007: "BuildHost", 1009: "Size", 1010: "Distribution", 1011: "Vendor", 1014: "License",
	1015: "Packager", 1016: "Group", 1018: "Source", 1019: "Patch", 1020: "URL", 1021: "OS", 1022: "Arch",
	1023: "PreIn", 1024: "PostIn", 1025: "PreUn", 1026: "PostUn", 1027: "OldFilenames", 1028: "FileSizes",
	1030: "FileModes", 1033: "FileRdevs", 1034: "FileMtimes", 1035: "FileDigests", 1036: "FileLinktos",
	1037: "FileFlags", 1039: "FileUserName", 1040: "FileGroupName", 1044: "SourceRPM", 1045: "FileVerifyFlags",
	1046: "ArchiveSize", 1047: "ProvideName", 1048: "RequireFlags", 1049: "RequireName", 1050: "RequireVersion",
	1051: "NoSource", 1052: "NoPatch", 1053: "ConflictFlags", 1054: "ConflictName", 1055: "ConflictVersion",
	1059: "ExcludeArch", 1060: "ExcludeOS", 1061: "ExclusiveArch", 1062: "ExclusiveOS", 1064: "RPMVersion",
	1065: "TriggerScripts", 1066: "TriggerName", 1067: "TriggerVersion", 1068: "TriggerFlags", 1069: "TriggerIndex",
	1079: "VerifyScript", 1080: "ChangelogTime", 1081: "ChangelogName", 1082: "ChangelogText",
	1085: "PreInProg", 1086: "PostInProg", 1087: "PreUnProg", 1088: "PostUnProg", 1089: "BuildArchs",
	1090: "ObsoleteName", 1091: "VerifyScriptProg", 1092: "TriggerScriptProg", 1094: "Cookie", 1095: "FileDevices",
	1096: "FileInodes", 1097: "FileLangs", 1098: "Prefixes", 1099: "InstPrefixes", 1106: "SourcePackage",
	1112: "ProvideFlags", 1113: "ProvideVersion", 1114: "ObsoleteFlags", 1115: "ObsoleteVersion",
	1116: "DirIndexes", 1117: "BaseNames", 1118: "DirNames", 1122: "OptFlags", 1123: "DistURL",
	1124: "PayloadFormat", 1125: "PayloadCompressor", 1126: "PayloadFlags", 1131: "RHNPlatform", 1132: "Platform",
	1140: "FileColors", 1141: "FileClass", 1142: "ClassDict", 1143: "FileDependsX", 1144: "FileDependsN",
	1145: "DependsDict", 1146: "SourcePkgID", 1151: "PreTrans", 1152: "PostTrans", 1153: "PreTransProg",
	1154: "PostTransProg", 1155: "DistTag", 5008: "LongFileSizes", 5009: "LongSize", 5010: "FileCaps",
	5011: "FileDigestAlgo", 5012: "BugURL", 5017: "PreInFlags", 5018: "PostInFlags", 5020: "PreUnFlags",
	5021: "PostUnFlags", 5024: "PreTransFlags", 5025: "PostTransFlags", 5026: "VerifyScriptFlags", 5027: "TriggerScriptFlags",
	5034: "VCS", 5035: "OrderName", 5036: "OrderVersion", 5037: "OrderFlags",
	5046: "RecommendName", 5047: "RecommendVersion", 5048: "RecommendFlags", 5049: "SuggestName",
	5050: "SuggestVersion", 5051: "SuggestFlags", 5052: "SupplementName", 5053: "SupplementVersion",
	5054: "SupplementFlags", 5055: "EnhanceName", 5056: "EnhanceVersion", 5057: "EnhanceFlags",
	5062: "Encoding", 5066: "FileTriggerScripts", 5067: "FileTriggerScriptProg", 5068: "FileTriggerScriptFlags",
	5069: "FileTriggerName", 5070: "FileTriggerIndex", 5071: "FileTriggerVersion", 5072: "FileTriggerFlags",
	5076: "TransFileTriggerScripts", 5077: "TransFileTriggerScriptProg", 5078: "TransFileTriggerScriptFlags",
	5079: "TransFileTriggerName", 5080: "TransFileTriggerIndex", 5081: "TransFileTriggerVersion",
	5082: "TransFileTriggerFlags", 5084: "FileTriggerPriorities", 5085: "TransFileTriggerPriorities",
	5090: "FileSignatures", 5091: "FileSignatureLength", 5092: "PayloadDigest", 5093: "PayloadDigestAlgo",
	5096: "ModularityLabel", 5097: "PayloadDigestAlt", 5098: "ArchSuffix", 5099: "Spec", 5100: "TranslationURL",
	5101: "UpstreamReleases",
}
