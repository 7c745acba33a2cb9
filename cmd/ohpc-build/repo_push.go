package main

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"gocloud.dev/blob"
	_ "gocloud.dev/blob/azureblob" // azblob://container
	_ "gocloud.dev/blob/fileblob"  // file:///folder
	_ "gocloud.dev/blob/gcsblob"   // gs://bucket
	_ "gocloud.dev/blob/s3blob"    // s3://bucket

	"github.com/ohpc-build/ohpc-build/repo/channel"
	"github.com/ohpc-build/ohpc-build/repo/layout"
	"github.com/ohpc-build/ohpc-build/repo/remote"
)

// push is what repo push was told.
type push struct {
	storage          string
	prefix           string
	wait, retain     time.Duration
	takeOver, verify bool
	prune            bool
}

func newRepoPush(f *flags) *cobra.Command {
	var p push
	cmd := &cobra.Command{
		Use:   "push [CHANNEL…]",
		Short: "Copy what is published to cloud storage",
		Long: `push brings the snapshots that channels point to (default: all channels) into cloud
storage and then moves the channels there, in the order in which they were
published here: whoever reads a mirrorlist there finds a complete snapshot,
whenever a push was interrupted. What is there already is not sent again.

The storage is a URL: s3://BUCKET?region=R (with &endpoint=https://HOST&use_path_style=true
for what is compatible with S3), gs://BUCKET, azblob://CONTAINER or file:///FOLDER.
Credentials are found as each provider's own tools find them. matrix does this by
itself after publishing when ohpc-build.yaml names a storage (repository.storage).`,
		Example: `  ohpc-build repo push --storage 's3://hpc-repos?region=eu-central-1'
  ohpc-build repo push release updates --prune --retain 48h`,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := readConfig(f.config)
			if err != nil {
				return err
			}
			if p.storage == "" {
				p.storage, p.prefix = c.Repository.Storage, c.Repository.Prefix
			}
			if p.storage == "" {
				return usageError("there is no storage to copy to: give --storage URL, or name it as repository.storage in ohpc-build.yaml")
			}
			var channels []layout.Channel
			for _, name := range args {
				ch, err := layout.ParseChannel(name)
				if err != nil {
					return usageError("%w", err)
				}
				channels = append(channels, ch)
			}
			return f.push(cmd.Context(), cmd.OutOrStdout(), p, channels)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&p.storage, "storage", "", "`URL` of the storage (default: repository.storage of the configuration)")
	flags.StringVar(&p.prefix, "prefix", "", "`folder` in the storage")
	flags.DurationVar(&p.wait, "wait", 10*time.Minute, "how `long` to wait for another push of the same tree")
	flags.BoolVar(&p.takeOver, "take-over", false, "the storage holds the copy of another tree, and shall hold this one's")
	flags.BoolVar(&p.verify, "verify", false, "afterwards read everything back and compare it")
	flags.BoolVar(&p.prune, "prune", false, "afterwards remove snapshots that this tree has no more, and what channels' folders held before")
	flags.DurationVar(&p.retain, "retain", 24*time.Hour, "how `long` readers may need what --prune would remove")
	return cmd
}

// push copies the tree in the output folder.
func (f *flags) push(ctx context.Context, out io.Writer, p push, channels []layout.Channel) error {
	root := filepath.Join(f.out, "repos")
	tree, err := channel.Open(root, channel.Options{})
	if err != nil {
		return usageError("%w; ohpc-build matrix publishes there", err)
	}
	defer tree.Close()
	pointers, err := tree.Pointers()
	if err != nil {
		return err
	}
	pointers = slices.DeleteFunc(pointers, func(at layout.Pointer) bool {
		return len(channels) > 0 && !slices.Contains(channels, at.Channel) || len(f.targets) > 0 && !slices.Contains(f.targets, at.Target)
	})
	if len(pointers) == 0 {
		return usageError("nothing that was asked for is published in %s", root)
	}
	bucket, err := blob.OpenBucket(ctx, p.storage)
	if err != nil {
		return usageError("opening the storage: %w", err)
	}
	defer bucket.Close()
	if p.prefix != "" {
		bucket = blob.PrefixedBucket(bucket, p.prefix+"/")
	}
	log, err := f.logger()
	if err != nil {
		return err
	}
	c, err := remote.New(root, bucket, remote.Options{Wait: p.wait, TakeOver: p.takeOver, Log: log})
	if err != nil {
		return err
	}
	sum, err := c.Push(ctx, pointers...)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%s sent (%s), %s copied there, %s moved\n",
		plural(sum.Uploaded, "file"), size(sum.Bytes), plural(sum.Copied, "file"), plural(len(sum.Moved), "channel"))
	if p.verify {
		if err := c.Verify(ctx, pointers...); err != nil {
			return err
		}
		fmt.Fprintln(out, "the storage holds what is published here, byte by byte")
	}
	if p.prune {
		sum, err := c.Prune(ctx, p.retain)
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "%s removed\n", plural(sum.Removed, "file"))
	}
	return nil
}
