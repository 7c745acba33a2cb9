// Package payload reads what is in an RPM package's archive: decompressed and
// member by member, without ever holding more than a part of one. What a header
// does not list is an error, so that a reader's memory is bounded by the header.
package payload
