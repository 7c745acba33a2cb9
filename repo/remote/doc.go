// Package remote keeps a copy of a published tree in cloud storage: S3 and what
// is compatible with it, Google Cloud Storage, Azure Blob Storage, or a folder.
//
// The copy is written in the order in which the tree itself is: a snapshot's
// packages, its metadata, repomd.xml, the manifest that tells it is complete; only
// then the one small file by which clients find it. Whoever reads a mirrorlist
// there finds a complete snapshot, whenever and however the writer ended.
//
// Storage knows neither links nor locks. So what a plain baseurl needs is copied
// to the channel's name (on the server, where it can), after the mirrorlist, and
// one tree owns a copy: another one is refused until it is told to take over.
package remote
