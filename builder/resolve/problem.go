package resolve

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// UnresolvableError says that no packages satisfy a build's requirements.
type UnresolvableError struct {
	Job          string
	Requirements []string // those that the manager complained about
	Manager      string
	Message      string   // its words
	Repositories []string // where it looked
}

func (e *UnresolvableError) Error() string {
	what := "requirements"
	if len(e.Requirements) > 0 {
		what = strings.Join(e.Requirements, ", ")
	}
	return fmt.Sprintf("%s: unresolvable BuildRequires: %s; looked in %s; %s says:\n%s",
		e.Job, what, strings.Join(e.Repositories, ", "), e.Manager, e.Message)
}

// RepositoryError says that a repository did not give what it should, and that
// nothing can be said of the build itself.
type RepositoryError struct {
	Job          string
	What         string
	Repositories []string
	Err          error
}

func (e *RepositoryError) Error() string {
	where := ""
	if len(e.Repositories) > 0 {
		where = " (repositories: " + strings.Join(e.Repositories, ", ") + ")"
	}
	return fmt.Sprintf("%s: resolving dependencies: %s%s: %v", e.Job, e.What, where, e.Err)
}

func (e *RepositoryError) Unwrap() error { return e.Err }

// solution matches the lines in which zypper offers to do with less.
var solution = regexp.MustCompile(`(?m)^\s*Solution \d+: .*\n?`)

// problem is what a manager complained about, or nil.
func (a *answer) problem(q *question) error {
	switch a.Kind {
	case "":
		return nil
	case "unresolvable":
		e := &UnresolvableError{Job: q.Job, Manager: q.Manager, Repositories: a.looked()}
		for _, m := range requirement.FindAllStringSubmatch(a.Message, -1) {
			if i, err := strconv.Atoi(m[1]); err == nil && i < len(q.Requires) && !slices.Contains(e.Requirements, q.Requires[i].String()) {
				e.Requirements = append(e.Requirements, q.Requires[i].String())
			}
		}
		slices.Sort(e.Requirements)
		message := solution.ReplaceAllString(a.Message, "")
		e.Message = lastLines(requirement.ReplaceAllStringFunc(message, func(string) string { return "this build" }))
		return e
	}
	what := map[string]string{
		"repository": "a repository is of no use", "download": "a package could not be downloaded", "signature": "a package's signature is not good",
		"size": fmt.Sprintf("more than the limit of %d bytes would have to be downloaded", q.Limit),
	}[a.Kind]
	return &RepositoryError{Job: q.Job, What: cmp.Or(what, q.Manager+" failed"), Repositories: a.looked(), Err: errors.New(lastLines(a.Message))}
}

// looked is where the manager looked, for people.
func (a *answer) looked() []string {
	places := []string{"the image", "the packages of this run"}
	for _, r := range a.Repositories {
		places = append(places, fmt.Sprintf("%s (%s)", r.ID, cmp.Or(r.URL, "no address")))
	}
	if len(a.Repositories) == 0 {
		places = append(places, "no repository, as the image has none configured")
	}
	return places
}
