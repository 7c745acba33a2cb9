// Package verify builds a job a second time under other conditions and compares
// the packages: another host, another user, another day and another order of files
// must give the same bytes.
//
// What cannot be made to differ on a host is told with its reason, so that nobody
// takes a verification for more than it is.
package verify
