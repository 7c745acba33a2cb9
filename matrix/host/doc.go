// Package host is about the machine that a run is on: what it lacks before anything is
// begun, how much builds may use of it at a time, which of them it could never hold,
// and when its disk was full, what would make room.
package host
