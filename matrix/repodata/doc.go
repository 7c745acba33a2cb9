// Package repodata reads repositories that somebody published, in a folder or
// on a web server, as validate/closure wants to see them. What it reads may have
// been written by an enemy: sizes and times are bounded, and whatever repomd.xml
// names is verified against it.
package repodata
