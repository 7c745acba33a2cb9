package targets

import (
	"maps"
	"reflect"
	"slices"

	"github.com/ohpc-build/ohpc-build/recipes"
)

// Definition is an entry of targets: in a configuration. A name alone chooses a
// target. Further keys change one that there is, or make a new one: to defines,
// macros and bridge they add, of the same name the new one counts; every other key
// replaces what was there.
type Definition struct {
	Name          string                  `yaml:"name,required"` // of a target that there is, or of a new one
	Summary       string                  `yaml:"summary"`
	Architectures []string                `yaml:"architectures"`
	Image         *recipes.Image          `yaml:"image"`
	Managers      []string                `yaml:"managers"`
	Defines       map[string]string       `yaml:"defines"`
	Evaluate      string                  `yaml:"evaluate"`
	Macros        map[string]string       `yaml:"macros"`
	Bridge        map[string][]string     `yaml:"bridge"`
	OnDemand      map[string][]string     `yaml:"on_demand"`
	Checks        []recipes.RequiredCheck `yaml:"checks"`
}

// UnmarshalText accepts a target's name alone.
func (d *Definition) UnmarshalText(text []byte) error {
	d.Name = string(text)
	return nil
}

// onlyName says whether a definition just chooses.
func (d *Definition) onlyName() bool { return reflect.DeepEqual(*d, Definition{Name: d.Name}) }

// lacks are the keys that a new target needs and the definition does not have.
func (d *Definition) lacks() []string {
	var keys []string
	for key, missing := range map[string]bool{
		"summary": d.Summary == "", "architectures": len(d.Architectures) == 0, "image": d.Image == nil, "managers": len(d.Managers) == 0,
	} {
		if missing {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}

// Names are the targets that definitions choose, in their order.
func Names(definitions []Definition) []string {
	var names []string
	for _, d := range definitions {
		names = append(names, d.Name)
	}
	return names
}

// apply returns the target that a definition makes of base, which it leaves as it
// is.
func (d *Definition) apply(base recipes.Target) *recipes.Target {
	t := base
	t.Name = d.Name
	set(&t.Summary, d.Summary, d.Summary != "")
	set(&t.Architectures, d.Architectures, d.Architectures != nil)
	set(&t.Managers, d.Managers, d.Managers != nil)
	set(&t.Evaluate, d.Evaluate, d.Evaluate != "")
	set(&t.Checks, d.Checks, d.Checks != nil)
	if d.Image != nil {
		t.Image = *d.Image
	}
	t.Defines = add(base.Defines, d.Defines)
	t.Macros = add(base.Macros, d.Macros)
	t.Bridge = add(base.Bridge, d.Bridge)
	t.OnDemand = add(base.OnDemand, d.OnDemand)
	return &t
}

func set[T any](field *T, value T, given bool) {
	if given {
		*field = value
	}
}

func add[V any](base, more map[string]V) map[string]V {
	if len(more) == 0 {
		return base
	}
	sum := maps.Clone(base)
	if sum == nil {
		sum = map[string]V{}
	}
	maps.Copy(sum, more)
	return sum
}
