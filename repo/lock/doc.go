// Package lock keeps two processes from changing one folder at once. A lock is
// the kernel's (flock), so it ends with the process that holds it, however that
// ends; the file that carries it stays.
package lock
