package repodata

// Redirect is what the client does when a server points elsewhere.
var Redirect = redirect
