package trial

import (
	"context"
	"os"
	"slices"
	"time"

	"github.com/ohpc-build/ohpc-build/validate"
	"github.com/ohpc-build/ohpc-build/validate/suitetree"
)

// suiteTreeTime bounds the run of a whole tree.
const suiteTreeTime = 6 * time.Hour

// trySuiteTree runs the areas of a tree of tests that the cell's packages call for,
// where these packages are installed, and what the tree needs itself: autotools and
// modules, as far as there are packages of them.
func (t *Trial) trySuiteTree(ctx context.Context, k check) (validate.Check, error) {
	configure, err := suitetree.Configure(t.cell.SuiteTree)
	if err != nil {
		return validate.Check{Outcome: validate.Fail, Reason: err.Error()}, nil
	}
	all, err := t.tested(ctx)
	if err != nil {
		return validate.Check{}, err
	}
	var names, wanted []string
	for _, h := range all {
		names = append(names, h.header.Name)
	}
	slices.Sort(names)
	names = slices.Compact(names)
	tree := suitetree.Tree{
		Check: k.name, Subject: k.subject, Dir: t.cell.SuiteTree,
		Areas: suitetree.Areas(configure, names), Families: suitetree.FamiliesOf(names), Limit: suiteTreeTime,
	}
	for _, a := range tree.Areas {
		wanted = append(wanted, a.Packages...)
	}
	for _, name := range []string{"ohpc-autotools", "lmod-ohpc"} {
		if slices.Contains(names, name) {
			wanted = append(wanted, name)
		}
	}
	slices.Sort(wanted)
	wanted = slices.Compact(wanted)
	if len(tree.Areas) > 0 {
		base, broken := t.suiteBase(ctx, wanted)
		if err := context.Cause(ctx); err != nil {
			return validate.Check{}, err
		}
		if broken != nil {
			return notInstalled(broken)
		}
		tree.Base = base
	}
	if tree.BATS, err = t.suites.bats(ctx); err != nil {
		return validate.Check{}, err
	}
	if tree.Changes, err = os.MkdirTemp(t.dir, "tree-"); err != nil {
		return validate.Check{}, err
	}
	defer remove(tree.Changes)
	if err := os.Chmod(tree.Changes, 0o755); err != nil { // it is the root folder
		return validate.Check{}, err
	}
	return suitetree.Run(ctx, t.container(), tree), nil
}
