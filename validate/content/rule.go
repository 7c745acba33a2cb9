package content

import "slices"

// Rule is the stable name of what a finding is about. Recipes declare exceptions by
// it.
type Rule string

// The rules. Those that only warn are never an error.
const (
	Machine       Rule = "machine"        // code for another machine than the package's
	NoarchCode    Rule = "noarch-code"    // code for a machine in a package for all
	BuildPath     Rule = "build-path"     // a path of the place where it was built, in a file
	RunPath       Rule = "run-path"       // an RPATH or RUNPATH that finds libraries where anybody may put them
	Interpreter   Rule = "interpreter"    // a script whose interpreter is not there
	Setuid        Rule = "setuid"         // a file that runs with its owner's or group's rights
	Capability    Rule = "capability"     // a file that runs with capabilities
	WorldWritable Rule = "world-writable" // a file or folder that anybody may change
	Device        Rule = "device"         // a device, pipe or socket
	Owner         Rule = "owner"          // a file of a user or group that nobody makes
	Symlink       Rule = "symlink"        // a link to where it was built, or out of the root
	FileConflict  Rule = "file-conflict"  // two packages with different files of one path

	ExecStack Rule = "exec-stack" // warns: a stack that holds code
	TextRel   Rule = "text-rel"   // warns: code that is relocated
	Malformed Rule = "malformed"  // warns: an ELF file, a library or something packed that cannot be read
	BuildID   Rule = "build-id"   // warns: different files with one build ID
)

// Rules are the names of those that recipes can declare exceptions from.
func Rules() []Rule {
	return []Rule{
		Machine, NoarchCode, BuildPath, RunPath, Interpreter, Setuid, Capability,
		WorldWritable, Device, Owner, Symlink, FileConflict,
	}
}

// Finding is something that should not be.
type Finding struct {
	Package string `json:"package"` // NEVRA
	Name    string `json:"-"`       // the package's, for exceptions
	Path    string `json:"path"`
	Rule    Rule   `json:"rule"`
	What    string `json:"what"`              // what is wrong
	Mend    string `json:"mend"`              // how to mend it
	Allowed string `json:"allowed,omitempty"` // why it is right, as its recipe declares
}

// Warning says whether the finding is only told.
func (f Finding) Warning() bool { return !slices.Contains(Rules(), f.Rule) }

// String is the finding in a line.
func (f Finding) String() string {
	text := f.Package + ": " + f.Path + ": " + string(f.Rule) + ": " + f.What
	switch {
	case f.Allowed != "":
		return text + " (allowed: " + f.Allowed + ")"
	case f.Mend != "":
		return text + "; " + f.Mend
	}
	return text
}
