// Package verify reads a whole repository again and compares it with what was
// signed. It believes nothing that it has not verified.
package verify
