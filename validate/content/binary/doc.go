// Package binary tells for which machine a file's code is: ELF files, members of
// static libraries, EFI programs, Linux kernels and BIOS boot programs, and of
// ELF files what their headers ask of the loader. Files are those of strangers:
// only headers are read, and no more of them than a bound allows.
package binary
