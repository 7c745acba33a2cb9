// Package locks reads and writes the folder of lock files that a run leaves beside its
// report: of each job, the file that says what its build root was made of. A later run
// that is given them builds in the same roots.
package locks
