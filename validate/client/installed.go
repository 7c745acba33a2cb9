package client

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ohpc-build/ohpc-build/repo/rpm"
)

// Installed is one package of a system.
type Installed struct {
	Name, Arch string
	EVR        rpm.EVR
}

// String is name-[epoch:]version-release.arch.
func (i Installed) String() string {
	evr := i.EVR
	if evr.Epoch == "0" {
		evr.Epoch = ""
	}
	return i.Name + "-" + evr.String() + "." + i.Arch
}

// withoutEpoch is as libzypp and the names of files have it.
func (i Installed) withoutEpoch() string {
	return i.Name + "-" + i.EVR.Version + "-" + i.EVR.Release + "." + i.Arch
}

const (
	// queryFormat prints a line of what [Installed] has; rpm's tags hold no tabs.
	queryFormat = `%{NAME}\t%{EPOCHNUM}\t%{VERSION}\t%{RELEASE}\t%{ARCH}\n`

	maxList = 64 << 20 // bytes of a list of packages
)

// readList reads what rpm printed. Keys are in its database like packages.
func readList(text string) ([]Installed, error) {
	if len(text) >= maxList {
		return nil, fmt.Errorf("rpm lists more than %d MiB of packages", maxList>>20)
	}
	var all []Installed
	for line := range strings.Lines(text) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if len(f) != 5 {
			return nil, fmt.Errorf("rpm lists a package as %.100q", line)
		}
		if f[0] == "gpg-pubkey" {
			continue
		}
		all = append(all, Installed{Name: f[0], EVR: rpm.EVR{Epoch: f[1], Version: f[2], Release: f[3]}, Arch: f[4]})
	}
	slices.SortFunc(all, func(a, b Installed) int { return strings.Compare(a.String(), b.String()) })
	return all, nil
}

// Without returns the packages that are not among others, in their order.
func Without(all, others []Installed) []Installed {
	there := map[Installed]bool{}
	for _, o := range others {
		there[o] = true
	}
	return slices.DeleteFunc(slices.Clone(all), func(i Installed) bool { return there[i] })
}

// Names are the packages' names.
func Names(all []Installed) []string {
	names := make([]string, len(all))
	for i, p := range all {
		names[i] = p.Name
	}
	return names
}

// Strings are the packages' full names, for people.
func Strings(all []Installed) []string {
	names := make([]string, len(all))
	for i, p := range all {
		names[i] = p.String()
	}
	return names
}
