// Package execute runs single jobs. All that a job needs is in a file, its
// description, and in the state folder that it lies in: whoever shares that folder
// can run it, in this process or another, on this machine or another, and leaves its
// result in the store, where everybody finds it by the job's key.
//
// The description holds no secrets: packages are signed by whoever asked for them.
//
// A job runs once at a time, however many ask for it: the others wait and take the
// result.
package execute
