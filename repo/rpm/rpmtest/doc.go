// Package rpmtest makes RPM packages for tests: varied ones with the real
// rpmbuild, and malformed, hostile or merely numerous ones byte by byte.
package rpmtest
