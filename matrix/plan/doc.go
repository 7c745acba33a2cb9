// Package plan holds the graph of jobs: what each would make, which others it
// needs, the key that stands for everything that can change its output, and the
// reason why it must run or may be reused.
package plan
