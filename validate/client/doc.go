// Package client drives the package managers that a repository's users have, dnf
// and zypper, in a container: with the repository's definition and its key, every
// signature checked, and never a question.
package client
