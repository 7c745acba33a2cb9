package rpm

import "strings"

// EVR is a package's epoch, version and release. An empty epoch counts as 0;
// an empty release is none.
type EVR struct {
	Epoch, Version, Release string
}

// ParseEVR splits [epoch:]version[-release] (rpm: rpmver.c, parseEVR). Digits
// before a colon are an epoch, anything else before one belongs to the version;
// the release follows the last dash. No string is malformed; with nothing after
// the last dash there is no release (rpm, which builds no such package, takes it
// for one that is older than any other).
func ParseEVR(s string) EVR {
	var e EVR
	digits := 0
	for digits < len(s) && isDigit(s[digits]) {
		digits++
	}
	if digits < len(s) && s[digits] == ':' {
		e.Epoch = s[:digits]
		if digits == 0 {
			e.Epoch = "0"
		}
		s = s[digits+1:]
	}
	e.Version = s
	if dash := strings.LastIndexByte(s, '-'); dash >= 0 {
		e.Version, e.Release = s[:dash], s[dash+1:]
	}
	return e
}

// String is [epoch:]version[-release].
func (e EVR) String() string {
	s := e.Version
	if e.Epoch != "" {
		s = e.Epoch + ":" + s
	}
	if e.Release != "" {
		s += "-" + e.Release
	}
	return s
}

// Compare is -1 when e is older than o, 1 when it is newer, 0 when they are the
// same (rpm: rpmverCmp). A missing release is older than any.
func (e EVR) Compare(o EVR) int {
	if c := CompareVersions(e.epoch(), o.epoch()); c != 0 {
		return c
	}
	if c := CompareVersions(e.Version, o.Version); c != 0 {
		return c
	}
	switch {
	case e.Release == "" && o.Release == "":
		return 0
	case e.Release == "":
		return -1
	case o.Release == "":
		return 1
	}
	return CompareVersions(e.Release, o.Release)
}

func (e EVR) epoch() string {
	if e.Epoch == "" {
		return "0"
	}
	return e.Epoch
}

// CompareVersions compares two versions, or two releases, by their segments of
// letters and of digits (rpm: rpmvercmp.c). Whatever else is in them only
// separates, but for a tilde, which sorts before everything, the end included,
// and a caret, which sorts after the end and before anything else.
func CompareVersions(a, b string) int {
	for a != "" || b != "" {
		a, b = skipSeparators(a), skipSeparators(b)
		switch {
		case first(a) == '~' || first(b) == '~':
			if first(a) != '~' {
				return 1
			}
			if first(b) != '~' {
				return -1
			}
			a, b = a[1:], b[1:]
			continue
		case first(a) == '^' || first(b) == '^':
			switch {
			case a == "":
				return -1
			case b == "":
				return 1
			case a[0] != '^':
				return 1
			case b[0] != '^':
				return -1
			}
			a, b = a[1:], b[1:]
			continue
		}
		if a == "" || b == "" {
			break
		}
		var sa, sb string
		if isDigit(a[0]) {
			sa, a = cut(a, isDigit)
			sb, b = cut(b, isDigit)
			if sb == "" {
				return 1 // digits are newer than letters
			}
			sa, sb = strings.TrimLeft(sa, "0"), strings.TrimLeft(sb, "0")
			if len(sa) != len(sb) {
				if len(sa) > len(sb) {
					return 1
				}
				return -1
			}
		} else {
			sa, a = cut(a, isLetter)
			sb, b = cut(b, isLetter)
			if sb == "" {
				return -1
			}
		}
		if c := strings.Compare(sa, sb); c != 0 {
			return c
		}
	}
	// Whichever has something left is newer.
	switch {
	case a == "" && b == "":
		return 0
	case a == "":
		return -1
	}
	return 1
}

func first(s string) byte {
	if s == "" {
		return 0
	}
	return s[0]
}

func skipSeparators(s string) string {
	for s != "" && !isDigit(s[0]) && !isLetter(s[0]) && s[0] != '~' && s[0] != '^' {
		s = s[1:]
	}
	return s
}

func cut(s string, in func(byte) bool) (head, tail string) {
	i := 0
	for i < len(s) && in(s[i]) {
		i++
	}
	return s[:i], s[i:]
}

func isDigit(c byte) bool  { return '0' <= c && c <= '9' }
func isLetter(c byte) bool { return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' }
