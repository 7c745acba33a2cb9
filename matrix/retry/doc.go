// Package retry tells what may be gone the next time, as a fault of the network, of a
// server or of a container is, from what would fail again, and tries the one again as
// often as that is wanted. What fails by itself is tried once.
package retry
