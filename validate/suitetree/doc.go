// Package suitetree runs a whole tests/ tree as OpenHPC has it: autotools around BATS,
// with an option of its configure script for each area. The areas that the packages
// under test call for are enabled, the tests run as an ordinary user where these
// packages are installed, and the JUnit files that they leave are read.
//
// The tree and what it leaves are foreign: sizes, numbers and time are bounded, links
// are not followed, and nothing but results is taken from there.
package suitetree
