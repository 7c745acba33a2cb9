package rootless

import (
	"strconv"
	"strings"
)

const (
	subuidFile = "/etc/subuid"
	subgidFile = "/etc/subgid"

	// wanted is how many ids a root file system has: distributions number users
	// and groups up to 65534, who is nobody.
	wanted = 65535

	// most is how many ids are mapped of what there are: a full set of 16 bits, and
	// none that a package could only have by mistake.
	most = 65536

	// firstSubordinate is where useradd begins to give them out (login.defs:
	// SUB_UID_MIN).
	firstSubordinate = 100_000
)

// idRange maps ids of a namespace to those of the host.
type idRange struct{ inside, outside, count int }

// span is a line of /etc/subuid or /etc/subgid: ids that a user may use.
type span struct{ start, count int }

// subordinate are the ids that a list gives a user, whom it may call by name or
// by number (shadow: subuid(5)). Lines that say something else are not for us.
func subordinate(text, name, id string) []span {
	var spans []span
	for owner, s := range lines(text) {
		if owner == name || owner == id {
			spans = append(spans, s)
		}
	}
	return spans
}

// free is where ids begin that no list has given to anybody.
func free(text string) int {
	next := firstSubordinate
	for _, s := range lines(text) {
		next = max(next, s.start+s.count)
	}
	return next
}

// listed are the ids that getsubids prints: "0: alice 100000 65536".
func listed(text, name string) []span {
	var spans []span
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) != 4 {
			continue
		}
		spans = append(spans, subordinate(strings.Join(fields[1:], ":"), name, name)...)
	}
	return spans
}

func lines(text string) func(yield func(string, span) bool) {
	return func(yield func(string, span) bool) {
		for line := range strings.Lines(text) {
			fields := strings.Split(strings.TrimSpace(line), ":")
			if len(fields) != 3 {
				continue
			}
			start, err := strconv.ParseUint(fields[1], 10, 32)
			if err != nil {
				continue
			}
			count, err := strconv.ParseUint(fields[2], 10, 32)
			if err != nil || count == 0 {
				continue
			}
			if !yield(fields[0], span{int(start), int(count)}) {
				return
			}
		}
	}
}

// mapping makes the user root and numbers the subordinate ids from 1 on.
func mapping(id int, spans []span) []idRange {
	ids := []idRange{{0, id, 1}}
	for _, s := range spans {
		next := size(ids)
		if next >= most {
			break
		}
		ids = append(ids, idRange{next, s.start, min(s.count, most-next)})
	}
	return ids
}

// size is how many ids are mapped.
func size(ids []idRange) int {
	n := 0
	for _, r := range ids {
		n += r.count
	}
	return n
}
