package debian

import (
	"regexp"
	"strings"
)

// Passing says whether the archive or the way to it was in trouble, which may be gone the
// next time, as far as apt said so.
func (e *Error) Passing() bool { return passing(e.Tail) }

// Passing says whether the archive or the way to it was in trouble, which may be gone the
// next time, as far as apt said so.
func (e *DownloadError) Passing() bool { return passing(e.Tail) }

// lasting are what apt says of requests and archives that will be no better the next
// time, whatever else it says (apt: cmdline/../apt-private/private-cacheset.cc,
// apt-pkg/acquire-item.cc, apt-pkg/deb/debmetaindex.cc, apt-pkg/algorithms.cc).
var lasting = []*regexp.Regexp{
	regexp.MustCompile(`^E: Unable to locate package `),
	regexp.MustCompile(`^E: Package '.*' has no installation candidate`),
	regexp.MustCompile(`^E: Version '.*' for '.*' was not found`),
	regexp.MustCompile(`^E: Unable to correct problems, you have held broken packages`),
	regexp.MustCompile(`^[EW]: GPG error: `),
	regexp.MustCompile(`^[EW]: .*The following signatures (couldn't be verified|were invalid)`),
	regexp.MustCompile(`^[EW]: .*is not signed\.`),
	regexp.MustCompile(`^E: Release file for .* (is expired|is not valid yet)`),
	regexp.MustCompile(`^E: Malformed (entry|line) `),
}

// fetched is how apt says what it could not fetch, and why (apt-pkg/acquire-item.cc:
// "Failed to fetch %s  %s").
var fetched = regexp.MustCompile(`^[EW]: Failed to fetch (\S+) +(.*)$`)

// troubles are reasons of these that pass: of the methods http and https
// (apt: methods/basehttp.cc, methods/http.cc, methods/connect.cc), and of what is read
// while a mirror is being updated (apt-pkg/acquire-item.cc).
var troubles = []*regexp.Regexp{
	regexp.MustCompile(`^(408|429|5\d\d) `),
	regexp.MustCompile(`^(Could not|Cannot) (connect|initiate the connection) to `),
	regexp.MustCompile(`^Unable to connect to `),
	regexp.MustCompile(`^(Temporary failure resolving|Could not resolve|Something wicked happened resolving) `),
	regexp.MustCompile(`(?i)connection (timed out|failed|refused|reset)`),
	regexp.MustCompile(`^(Error reading from server|Read error|Data left in buffer|The HTTP server sent an invalid|Bad header (line|data)|Waited for|Select failed|Error writing to)`),
	regexp.MustCompile(`^Undetermined Error|^Internal error`),
	regexp.MustCompile(`^Hash Sum mismatch`),
	regexp.MustCompile(`^File has unexpected size .* Mirror sync in progress\?`),
	regexp.MustCompile(`^Clearsigned file isn't valid, got '.*' \(does the network require authentication\?\)`),
}

// gone is what an archive says of a file that it does not have.
var gone = regexp.MustCompile(`^404 `)

// passing says whether what apt printed, in English, tells of a trouble that passes, and
// of none that lasts.
func passing(text string) bool {
	found := false
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if matches(lasting, line) {
			return false
		}
		m := fetched.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		switch url, why := m[1], m[2]; {
		case matches(troubles, why):
			found = true
		case gone.MatchString(why) && strings.HasSuffix(url, ".deb"):
			found = true // the index that names it has just been read: the mirror is being updated
		default:
			return false
		}
	}
	return found
}

func matches(patterns []*regexp.Regexp, line string) bool {
	for _, p := range patterns {
		if p.MatchString(line) {
			return true
		}
	}
	return false
}
