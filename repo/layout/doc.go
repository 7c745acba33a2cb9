// Package layout says where things lie in a folder of published repositories,
// what the channels are, and what clients are told of them. It touches no file.
//
//	<root>/snapshots/<target>/<id>/{<arch>…,noarch,src,repodata}
//	<root>/OpenHPC/<release>/<target>             -> ../../snapshots/<target>/<id>
//	<root>/OpenHPC/<release>/<target>.mirrorlist     one line: the snapshot's URL
//	<root>/OpenHPC/<release>/<target>.repo           for clients
//	<root>/OpenHPC/<release>/<target>.status.json    the standing of its cells
//	<root>/OpenHPC/<release>/<channel>/<target>…     the same for other channels
package layout
