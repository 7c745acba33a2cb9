// Package snapshot turns a branch, tag or commit of an upstream repository into
// the lock of a [recipes.Pin]: the full commit, its date, the release before it,
// how many commits came since, and the version that rpm sorts as git's history
// does.
//
// Remote repositories are kept, without a work tree, in a cache folder, so that
// the next look only fetches what is new. Repositories of this machine are read
// where they are. All of it is done with go-git: nothing that a repository
// configures is executed.
package snapshot
