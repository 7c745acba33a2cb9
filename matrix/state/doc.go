// Package state is the history of runs: which jobs ran when, how long they took and
// what came of them, in an SQLite database in the state folder.
//
// It is history and nothing else. Whether a job is done is decided by its result in
// the store; what is here tells how long a job may take, and what has changed since
// the last run. So a database that is damaged, of another version or cannot be
// written to stops no run: it is set aside and begun anew with what the store knows,
// and where that fails too, the run's history is forgotten with the run.
//
// Several processes may have it open at a time.
package state
