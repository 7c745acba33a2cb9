// Package fetch gets OCI images from where they are: a registry, an OCI layout, an
// archive that docker or podman saved. What it returns is not verified yet, nor
// copied.
package fetch
