// Package text makes what strangers wrote fit to be shown: short, without control
// characters, and of two texts only the lines in which they differ.
package text
