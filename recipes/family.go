package recipes

import (
	"fmt"
	"slices"
)

// Family is a choice that multiplies recipes, such as the compiler.
type Family struct {
	Name    string   `yaml:"name,required"`    // the family's name, like the file's
	Define  string   `yaml:"define,required"`  // the macro that tells a spec the member
	Summary string   `yaml:"summary,required"` // one line that says what is chosen
	Members []Member `yaml:"members,required"` // what there is to choose from
}

// Member is one choice.
type Member struct {
	Name    string      `yaml:"name,required"`    // the member's name, as the macro has it
	Summary string      `yaml:"summary,required"` // one line that says what it is
	Recipe  string      `yaml:"recipe,required"`  // the recipe that provides it
	Exclude []Exclusion `yaml:"exclude"`          // where nothing is built with it, and why
}

// Member finds a member by its name. The error is a *[NotFoundError].
func (f *Family) Member(name string) (*Member, error) {
	names := make([]string, len(f.Members))
	for i := range f.Members {
		if f.Members[i].Name == name {
			return &f.Members[i], nil
		}
		names[i] = f.Members[i].Name
	}
	return nil, &NotFoundError{What: fmt.Sprintf("member of family %s", f.Name), Name: name, Known: names}
}

// members resolves a choice. Unknown names were refused when loading.
func (f *Family) members(c Choice) []*Member {
	var chosen []*Member
	for i := range f.Members {
		if c.HasAll() || slices.Contains(c, f.Members[i].Name) {
			chosen = append(chosen, &f.Members[i])
		}
	}
	return chosen
}
