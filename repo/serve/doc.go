// Package serve shows a published tree over HTTP, for local use and for tests:
// ranges and conditional requests, as package managers make them, and for people
// a page on each repository that tells how to add it. A web server does the same
// with the same folder, but for one thing: here the addresses in .repo files and
// mirrorlists become those under which this server was asked.
package serve
