package recipes

import (
	"fmt"
	"net/url"
)

// IsRemote tells addresses of git repositories from paths, and refuses what is
// neither: a git URL can also name a program.
func IsRemote(address string) (bool, error) {
	u, err := url.Parse(address)
	switch {
	case err != nil:
		return false, fmt.Errorf("%q is not an address: %w", address, err)
	case u.Scheme == "":
		return false, nil
	case u.Scheme == "https" || u.Scheme == "http" || u.Scheme == "ssh" || u.Scheme == "git":
		return true, nil
	default:
		return false, fmt.Errorf("%s: is not a kind of git address that is fetched from (https, http, ssh, git)", u.Scheme)
	}
}
