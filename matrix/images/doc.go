// Package images gives a run's cells their images: pulled from a registry or bootstrapped
// from a distribution's archive, with native programs for what is emulated, an image to
// read specs in, and what jobs demand of the system beside.
package images
