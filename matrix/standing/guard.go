package standing

import (
	"fmt"
	"strings"

	"github.com/ohpc-build/ohpc-build/matrix/report"
	"github.com/ohpc-build/ohpc-build/repo/channel"
	"github.com/ohpc-build/ohpc-build/repo/layout"
)

// AllowFlag lets a channel's cells lose their standing.
const AllowFlag = "--allow-tech-preview"

// LostError says that cells that people rely on would not be supported any more.
type LostError struct {
	Channel string
	Cells   []string // target/arch, and what is missing
}

func (e *LostError) Error() string {
	return fmt.Sprintf("not published in %s: what is supported there would not be any more: %s; mend what is missing, or give %s",
		e.Channel, strings.Join(e.Cells, ", "), AllowFlag)
}

// Guard refuses a move of a channel that people rely on, from one snapshot to another,
// if a supported cell would lose its standing, and be it that there is no such cell any
// more: that packages may go says nothing of it. The error is a *LostError.
func Guard(tree *channel.Tree, p layout.Pointer, before, after string) error {
	if p.Channel != layout.Release && p.Channel != layout.Updates || before == "" || before == after {
		return nil
	}
	was, known, err := Noted(tree, p.Target, before)
	if err != nil || !known {
		return err
	}
	is, known, err := Noted(tree, p.Target, after)
	if err != nil {
		return err
	}
	lost := &LostError{Channel: p.String()}
	for _, c := range was.Cells {
		if c.Status != report.Supported {
			continue
		}
		now, there := is.cell(c.Arch)
		name := p.Target + "/" + c.Arch
		switch {
		case !known:
			lost.Cells = append(lost.Cells, name+" (it was never validated)")
		case !there:
			lost.Cells = append(lost.Cells, name+" (it would be gone)")
		case now.Status != report.Supported:
			lost.Cells = append(lost.Cells, name+" ("+now.missing()+")")
		}
	}
	if len(lost.Cells) == 0 {
		return nil
	}
	return lost
}

// missing lists what a cell lacks, the first of it by name.
func (c Cell) missing() string { return some(c.Missing, "; ") }

// some are the first of a list, and how many more there are.
func some(list []string, between string) string {
	const told = 5
	if len(list) <= told {
		return strings.Join(list, between)
	}
	return strings.Join(list[:told], between) + fmt.Sprintf(" and %d more", len(list)-told)
}
