// Package debian gets the files of source packages from Debian's archive, with
// the host's own apt but without touching the host's configuration or lists.
package debian
