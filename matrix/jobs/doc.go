// Package jobs makes of a catalogue the jobs of a run: recipe × variant × cell,
// what rpm says that each would build, the plan that follows, each job's key, and
// its result where the store has one.
package jobs
