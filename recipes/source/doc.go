// Package source brings the sources of recipes into the store: files of the web
// and of Debian's archive, trees of git repositories, and folders of this
// machine.
//
// What a recipe pins by a digest enters the store only with that digest, whatever
// server it came from; once it is there, nothing is fetched again. Archives that
// are made here, of commits and folders, are the same bytes for the same content.
// A source that cannot be had is a *[FetchError], which names every place that
// was tried and what each of them said.
package source
