// Package depcheck holds no code, only the test that asserts which packages of
// this module may import which: imports point down, from the commands to the
// ground floor.
package depcheck
