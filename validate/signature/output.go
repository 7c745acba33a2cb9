package signature

import (
	"bytes"
	"strings"
)

// verdict is what rpmkeys --checksig --verbose printed of one package, line by line:
//
//	/srv/signed/a.rpm:
//	    Header V4 RSA/SHA256 Signature, key ID 0123456789abcdef: OK
//	    Header SHA256 digest: OK
//	    Payload SHA256 digest: OK
type verdict struct {
	lines []string
	named bool
}

// parse divides what rpmkeys printed among the packages that it was given. Each has
// a line of its own with its name, and no line that it prints of a package begins
// where names do.
func parse(text string, names []string) map[string]verdict {
	known := map[string]string{}
	for _, name := range names {
		known[mounted+"/"+name+":"] = name
	}
	verdicts := map[string]verdict{}
	current := ""
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		if name, ok := known[line]; ok {
			current = name
			verdicts[name] = verdict{named: true}
			continue
		}
		// error: <name>: … and such
		if !strings.HasPrefix(line, " ") {
			for heading, name := range known {
				if strings.Contains(line, heading) {
					v := verdicts[name]
					v.lines = append(v.lines, line)
					verdicts[name] = v
				}
			}
			continue
		}
		if v := verdicts[current]; current != "" {
			v.lines = append(v.lines, strings.TrimSpace(line))
			verdicts[current] = v
		}
	}
	return verdicts
}

// problem is what is wrong with a package, or nothing: every digest and every
// signature must be right, and there must be a signature. rpmkeys itself is content
// with a package that has none.
func (v verdict) problem() string {
	var wrong []string
	signed, absent := false, 0
	for _, line := range v.lines {
		signature := strings.Contains(strings.ToLower(line), "signature")
		switch {
		case !strings.HasSuffix(line, ": OK"):
			wrong = append(wrong, line)
			if signature && strings.HasSuffix(line, ": NOTFOUND") {
				absent++
			}
		case signature:
			signed = true
		}
	}
	switch {
	case absent > 0 && absent == len(wrong) && !signed:
		return "it is not signed"
	case len(wrong) > 0:
		return strings.Join(wrong, "; ")
	case !v.named:
		return "rpmkeys says nothing of it"
	case !signed:
		return "it is not signed"
	}
	return ""
}

// output keeps what a command prints, as far as it is wanted.
type output struct {
	bytes.Buffer
	cut bool
}

// Write never fails.
func (o *output) Write(b []byte) (int, error) {
	if room := maxOut - o.Len(); len(b) > room {
		o.cut = true
		o.Buffer.Write(b[:max(0, room)])
		return len(b), nil
	}
	return o.Buffer.Write(b)
}
