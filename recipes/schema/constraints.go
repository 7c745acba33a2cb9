package schema

import (
	"reflect"

	"github.com/ohpc-build/ohpc-build/recipes"
)

// scalar is the schema of a type that is written as a single text of a certain
// form, or nil.
func scalar(t reflect.Type) *Schema {
	switch t {
	case reflect.TypeFor[recipes.Kind]():
		return &Schema{Enum: []string{string(recipes.Component), string(recipes.MetaPackage)}}
	case reflect.TypeFor[recipes.Rule]():
		return &Schema{Enum: recipes.Rules()}
	case reflect.TypeFor[recipes.Size]():
		return &Schema{Type: "string", Pattern: recipes.SizePattern}
	case reflect.TypeFor[recipes.Duration]():
		return &Schema{Type: "string", Pattern: recipes.DurationPattern}
	case reflect.TypeFor[recipes.Date]():
		return &Schema{Type: "string", Pattern: recipes.DatePattern}
	case reflect.TypeFor[recipes.Timestamp]():
		return &Schema{Type: "string", Pattern: recipes.TimestampPattern}
	}
	return nil
}

// constraints are what the types do not say of structs ("Source") and fields
// ("Source.File"), and package load checks.
func constraints() map[string]Schema {
	var (
		zero, one = 0, 1
		name      = Schema{Pattern: recipes.NamePattern}
		template  = Schema{Pattern: recipes.TemplatePattern}
		fileName  = Schema{Pattern: recipes.FilePattern}
		commit    = Schema{Pattern: recipes.CommitPattern}
		arch      = Schema{Pattern: recipes.ArchPattern}
		macros    = Schema{PropertyNames: &Schema{Pattern: recipes.MacroPattern}}
		some      = Schema{MinItems: 1}
	)
	return map[string]Schema{
		"Recipe": {AllOf: []*Schema{
			{
				If:   is("kind", string(recipes.Component)),
				Then: &Schema{Required: []string{"group"}, Properties: without("requires", "description")},
			},
			{
				If:   is("kind", string(recipes.MetaPackage)),
				Then: &Schema{Required: []string{"requires"}, Properties: without("group", "spec", "sources", "patches", "variants")},
			},
		}},
		"Recipe.Name":     template,
		"Recipe.Noarch":   arch,
		"Recipe.Requires": some,
		"Allowance.Paths": {Pattern: `^/`, MinItems: 1},
		"Source": {
			OneOf:             []*Schema{needs("debian"), needs("url"), needs("git"), needs("dir"), needs("generated")},
			DependentRequired: map[string][]string{"debian": {"sha256"}, "url": {"sha256"}, "mirrors": {"url"}},
		},
		"Source.File":    fileName,
		"Source.SHA256":  {Pattern: recipes.SHA256Pattern},
		"Source.URL":     {Pattern: `^https?://`},
		"Source.Mirrors": {Pattern: `^https?://`},
		"Debian.File":    fileName,
		"Git": {OneOf: []*Schema{
			{Required: []string{"pin"}, Properties: without("url", "commit")},
			{Required: []string{"url", "commit"}, Properties: without("pin")},
		}},
		"Git.Commit":              commit,
		"Patch":                   {DependentRequired: map[string][]string{"url": {"commit"}, "commit": {"url"}}},
		"Patch.File":              fileName,
		"Patch.Commit":            commit,
		"Extra.Name":              name,
		"Extra.Defines":           macros,
		"Requirement.Package":     template,
		"Condition":               {MinProperties: 1},
		"Condition.Targets":       some,
		"Condition.Architectures": {MinItems: 1, Pattern: recipes.ArchPattern},
		"Condition.Families":      {MinProperties: 1},
		"Needs.Cores":             {Minimum: &zero},
		"Test.Script":             {Pattern: `^tests/`},
		"Family.Define":           {Pattern: recipes.MacroPattern},
		"Family.Members":          some,
		"Member.Name":             name,
		"Target.Architectures":    {MinItems: 1, Pattern: recipes.ArchPattern},
		"Target.Defines":          macros,
		"Image":                   {OneOf: []*Schema{needs("reference"), needs("bootstrap")}},
		"Catalog.Release":         name,
		"Catalog.Version":         name,
		"Catalog.Defines":         macros,
		"Lock.Commit":             commit,
		"Lock.Since":              {Minimum: &zero},
		"Lock.Total":              {Minimum: &one},
	}
}

func needs(key string) *Schema { return &Schema{Required: []string{key}} }

func is(key, value string) *Schema {
	return &Schema{Properties: map[string]*Schema{key: {Enum: []string{value}}}, Required: []string{key}}
}

// without allows none of the keys.
func without(keys ...string) map[string]*Schema {
	none := map[string]*Schema{}
	for _, key := range keys {
		none[key] = &Schema{Not: &Schema{}}
	}
	return none
}

// apply adds a constraint; the pattern of a list is that of its elements.
func (s *Schema) apply(c Schema) {
	if c.Pattern != "" {
		of := s
		if s.Items != nil {
			of = s.Items
		}
		of.Pattern = c.Pattern
	}
	s.OneOf = append(s.OneOf, c.OneOf...)
	s.AllOf = append(s.AllOf, c.AllOf...)
	s.MinItems = max(s.MinItems, c.MinItems)
	s.MinProperties = max(s.MinProperties, c.MinProperties)
	if c.Minimum != nil {
		s.Minimum = c.Minimum
	}
	if c.PropertyNames != nil {
		s.PropertyNames = c.PropertyNames
	}
	if c.DependentRequired != nil {
		s.DependentRequired = c.DependentRequired
	}
}
