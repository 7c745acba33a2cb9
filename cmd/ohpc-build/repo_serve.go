package main

import (
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/ohpc-build/ohpc-build/repo/serve"
)

func newRepoServe(f *flags) *cobra.Command {
	var listen, address string
	cmd := &cobra.Command{
		Use:   "serve [DIR]",
		Short: "Show a published tree over HTTP",
		Long: `serve shows the tree in DIR (default: the output folder's repos) over HTTP, for
local use and for tests, until it is interrupted. Its pages tell how to add each
repository with dnf, yum and zypper. Addresses in .repo files and mirrorlists are
told as those of this server, whatever the tree was published for.`,
		Example: `  ohpc-build repo serve
  ohpc-build repo serve /srv/repos --listen :8080 --url https://repos.example.org`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usageError("repo serve takes one folder: the one that is published in")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			dir := filepath.Join(f.out, "repos")
			if len(args) == 1 {
				dir = args[0]
			}
			if fi, err := os.Stat(dir); err != nil {
				return usageError("the tree to serve: %w; ohpc-build matrix publishes in the output folder's repos, --out names another", err)
			} else if !fi.IsDir() {
				return usageError("the tree to serve: %s is no folder", dir)
			}
			if address != "" {
				// It is written into .repo files, where a space would end it.
				u, err := url.Parse(address)
				if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
					return usageError("--url %q is no address that clients can use: expected http://HOST/PATH or https://HOST/PATH", address)
				}
				address = u.String()
			}
			log, err := f.logger()
			if err != nil {
				return err
			}
			tree, err := serve.Open(dir, serve.WithURL(address), serve.WithLog(log))
			if err != nil {
				return err
			}
			defer tree.Close() //nolint:errcheck // it was only read
			l, err := (&net.ListenConfig{}).Listen(cmd.Context(), "tcp", listen)
			if err != nil {
				return usageError("listening on %s: %w", listen, err)
			}
			if _, err := fmt.Fprintf(cmd.OutOrStdout(), "%s is served at http://%s/ until it is interrupted\n", dir, l.Addr()); err != nil {
				return err
			}
			return tree.Serve(cmd.Context(), l)
		},
	}
	cmd.Flags().StringVar(&listen, "listen", "127.0.0.1:8080", "`address` to listen on, HOST:PORT")
	cmd.Flags().StringVar(&address, "url", "", "`address` that clients use, where a proxy stands before this server")
	return cmd
}
