// Package remains tells what changes to a container's root file system are left when
// everything that made them was undone: files and folders that were not there before,
// others that are not as they were, and those that are gone.
//
// It reads the upper layer of the container's overlay, and looks up in the lower ones
// what there was before; nothing is mounted, and no program of the container is run.
package remains
