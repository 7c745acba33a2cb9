// Package blocks writes compressed files of which parts are known from before.
// A stream is cut into blocks; each is compressed by itself, as a gzip member or
// a zstd frame, and both formats allow such parts one after the other. So blocks
// are compressed several at a time, the bytes do not depend on how many, and a
// block that was compressed before is copied.
package blocks
