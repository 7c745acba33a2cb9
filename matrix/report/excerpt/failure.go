package excerpt

import (
	"regexp"
	"slices"
)

// causes are what programs print when something goes wrong. They are written in
// what Go's and JavaScript's regular expressions share: the page uses them too.
var causes = []string{
	`\b[Ff]atal error\b`,
	`\b[Ee]rror: `,          // gcc, clang, gfortran, rpm, dnf
	`\b[Ee]rror [A-Z]+\d+:`, // gfortran's modules, LLVM
	`^Error\b`,
	`^E: `,
	`\bCMake Error\b`,
	`\bconfigure: error:`,
	`\bundefined reference to\b`,
	`\bcannot find -l`,
	`\bmultiple definition of\b`,
	`\bld returned \d+ exit status`,
	`\b[Cc]ommand not found\b`,
	`\bNo rule to make target\b`,
	`\bNo space left on device\b`,
	`\bDisk quota exceeded\b`,
	`\b(?:Out of memory|Cannot allocate memory|Killed)\b`,
	`\bSegmentation fault\b`,
	`\bAssertion .*failed\b`,
	`^Traceback \(most recent call last\)`,
	`^panic: `,
	`^not ok \d+`, // BATS
	`^(?:--- )?FAIL(?:ED)?\b`,
	`\bFAILED\b`,
	`^\s*Problem: `,                      // dnf
	`\bnothing provides\b`,               // dnf, zypper
	`\bconflicts with file from package`, // rpm
	`\bSignature verification failed\b`,
	`\bis not installed\b`,
	`\bInstalled \(but unpackaged\) file\(s\) found`,
	`\bFile not found: `,
	`\btimed out after\b`,
}

// ends are what programs print because another one failed before.
var ends = []string{
	`^\S*make(?:\[\d+\])?: \*\*\* .*(?:Error \d+|Segmentation fault|Killed|Terminated|Stop\.)`,
	`^ninja: build stopped`,
	`\bBad exit status from\b`, // rpmbuild
	`^RPM build errors:`,
}

// window is how many lines before such an end the cause is looked for: with parallel
// make others print in between.
const window = 80

// ignored is how make marks errors that its recipe allows.
var ignored = regexp.MustCompile(`\(ignored\)\s*$`)

var cause, end = either(causes), either(ends)

func either(patterns []string) []*regexp.Regexp {
	all := make([]*regexp.Regexp, len(patterns))
	for i, p := range patterns {
		all[i] = regexp.MustCompile(p)
	}
	return all
}

// Rules are all patterns, for a program that marks lines by itself.
func Rules() []string { return slices.Concat(causes, ends) }

// Failure is the index of the line that tells best what went wrong, -1 when none
// does: the first cause shortly before the first program gave up for it. A cause
// that nothing gave up for (a test prints such words too) only counts when there
// is no other, and then the last.
func Failure(lines []string) int {
	last := -1
	for i, line := range lines {
		if ignored.MatchString(line) {
			continue
		}
		if matches(end, line) {
			for k := max(i-window, 0); k < i; k++ {
				if matches(cause, lines[k]) && !ignored.MatchString(lines[k]) {
					return k
				}
			}
			return i
		}
		if matches(cause, line) {
			last = i
		}
	}
	return last
}

func matches(patterns []*regexp.Regexp, line string) bool {
	return slices.ContainsFunc(patterns, func(p *regexp.Regexp) bool { return p.MatchString(line) })
}
