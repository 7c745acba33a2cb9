// Package catalog embeds the default catalogue of recipes.
package catalog

import "embed"

//go:embed catalog.yaml components families meta shared targets
var files embed.FS

// FS holds the catalogue as package load reads it.
func FS() embed.FS { return files }
