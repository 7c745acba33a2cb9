// Package matrix is the whole run: it takes recipes through images, plan, build,
// signing, snapshot, validation and publishing, for every cell, and reports how
// it went.
//
// The stations themselves live in their own packages and do not know each other: below
// this one, host looks at the machine, images gets what cells are built in, jobs and
// plan tell what there is to do, schedule and execute do it, retry does it again where
// that is of use, signing and groups make of packages what a repository takes, trial
// tries it, standing tells what a cell has proven, and history and report tell of it all.
// What one of them needs of another is handed on here.
package matrix
