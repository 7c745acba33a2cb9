// Package upgrade tries what happens to a system that has packages of one set of
// repositories when it is given another: the next snapshot of a channel, or an overlay
// beside the repository that it is for. The target's package manager must bring
// everything to what the new ones offer, with dependencies respected.
package upgrade
