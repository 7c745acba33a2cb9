// Package durable writes files of repositories so that they are on the disk, and not
// only on their way there, before anything refers to them.
package durable
