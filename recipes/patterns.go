package recipes

// What names and values look like, for package load that checks them and for
// package schema that tells editors.
const (
	// NamePattern is a package's name as rpm allows it, without what a shell or
	// path would mind.
	NamePattern = `^[A-Za-z0-9][A-Za-z0-9+._-]*$`
	// TemplatePattern is such a name in which {family} may stand.
	TemplatePattern = `^(\{[A-Za-z0-9+._-]+\}|[A-Za-z0-9])(\{[A-Za-z0-9+._-]+\}|[A-Za-z0-9+._-])*$`
	// MacroPattern is the name of a macro: rpm wants three characters.
	MacroPattern = `^[A-Za-z_][A-Za-z0-9_]{2,}$`
	// ArchPattern is rpm's name of an architecture.
	ArchPattern = `^[a-z][a-z0-9_]*$`
	// CommitPattern is a commit in full.
	CommitPattern = `^[0-9a-f]{40}$`
	// SHA256Pattern is a digest as sha256sum prints it.
	SHA256Pattern = `^[0-9a-f]{64}$`
	// FilePattern is the name of a file without folders.
	FilePattern = `^[^/\\\x00\n]+$`
	// SizePattern is what [Size] accepts.
	SizePattern = `^[0-9]+ *[KMGT]iB$`
	// DurationPattern is what [Duration] accepts.
	DurationPattern = `^\+?([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h)(([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h))*$`
	// DatePattern is what [Date] accepts.
	DatePattern = `^[0-9]{4}-[0-9]{2}-[0-9]{2}$`
	// TimestampPattern is what [Timestamp] accepts.
	TimestampPattern = `^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$`
)
