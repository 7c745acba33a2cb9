package diff

import (
	"fmt"
	"strings"
)

// Allow says which differences a channel's clients may be given although they
// harm them.
type Allow struct {
	Downgrade bool // packages in an older version: clients that have the newer one get no updates
	Removal   bool // packages gone
	Changed   bool // other content in the same version: clients that have the version never get it

	// TechPreview: cells that were supported and are not any more. Packages do not tell;
	// whoever knows the cells' standing looks.
	TechPreview bool
}

// RefusedError says that a move would harm a channel's clients.
type RefusedError struct {
	Channel string
	Lists   []List
	flags   []string
}

func (e *RefusedError) Error() string {
	const most = 5
	var b strings.Builder
	fmt.Fprintf(&b, "not published in %s", e.Channel)
	for _, l := range e.Lists {
		fmt.Fprintf(&b, "; %s: ", l.Kind)
		for i, c := range l.Changes {
			if i == most {
				fmt.Fprintf(&b, " and %d more", len(l.Changes)-most)
				break
			}
			if i > 0 {
				b.WriteString(", ")
			}
			b.WriteString(c.String())
		}
	}
	fmt.Fprintf(&b, "; if that is meant, give %s", strings.Join(e.flags, " "))
	return b.String()
}

// Refuse returns a *RefusedError when the difference holds what is not allowed.
func (r *Result) Refuse(channel string, allow Allow) error {
	e := &RefusedError{Channel: channel}
	for _, k := range []struct {
		allowed bool
		flag    string
		list    List
	}{
		{allow.Downgrade, "--allow-downgrade", List{"downgraded", r.Downgraded}},
		{allow.Removal, "--allow-removal", List{"removed", r.Removed}},
		{allow.Changed, "--allow-changed", List{"changed without a new version or release", r.Changed}},
	} {
		if !k.allowed && len(k.list.Changes) > 0 {
			e.Lists = append(e.Lists, k.list)
			e.flags = append(e.flags, k.flag)
		}
	}
	if len(e.Lists) == 0 {
		return nil
	}
	return e
}
