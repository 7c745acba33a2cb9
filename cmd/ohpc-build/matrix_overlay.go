package main

import (
	"github.com/spf13/cobra"

	"github.com/ohpc-build/ohpc-build/matrix"
	"github.com/ohpc-build/ohpc-build/repo/layout"
)

// overlayFlags say on what a run's repositories are overlays.
type overlayFlags struct {
	on, key string
}

func (o *overlayFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&o.on, "overlay-on", "", "complete repository that is only to get the named recipes' packages anew, a `folder or URL`")
	cmd.Flags().StringVar(&o.key, "overlay-key", "", "`file` with the public key that the repository of --overlay-on is signed with (default: the run's own key)")
}

// apply checks the flags and adds them to a run's options. An overlay is published as
// an update, unless a channel is named.
func (o *overlayFlags) apply(cmd *cobra.Command, opt *matrix.Options, channel *string) error {
	if o.on == "" {
		if o.key != "" {
			return usageError("--overlay-key is the key of the repository that --overlay-on names")
		}
		return nil
	}
	opt.Overlay.On = o.on
	if !cmd.Flags().Changed("channel") {
		*channel = string(layout.Updates)
	}
	if o.key == "" {
		return nil
	}
	const limit = 1 << 20
	key, err := readSmall(o.key, limit)
	if err != nil {
		return usageError("the key: %w", err)
	}
	opt.Overlay.PublicKey = key
	return nil
}
