// Package kept holds build roots as their builds left them, so that somebody can
// look into what went wrong: the changes to the root, the build folder, the log,
// and all that is needed to open a shell there in the same container as the
// build's.
package kept
