package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ohpc-build/ohpc-build/repo/channel"
	"github.com/ohpc-build/ohpc-build/repo/layout"
	"github.com/ohpc-build/ohpc-build/repo/remote/order"
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
Credentials are found as each provider's own tools find them. The providers'
libraries are in a program of their own, ohpc-build-push (make push).

matrix does this by itself after publishing when ohpc-build.yaml names a storage
(repository.storage).`,
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
			if p.prefix != "" && (!fs.ValidPath(p.prefix) || p.prefix == ".") {
				return usageError("--prefix %q is no folder in the storage: expected a name such as hpc or site/hpc", p.prefix)
			}
			var channels []layout.Channel
			for _, name := range args {
				ch, err := parseChannel("CHANNEL", name)
				if err != nil {
					return err
				}
				channels = append(channels, ch)
			}
			return f.push(cmd.Context(), cmd.OutOrStdout(), p, channels)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&p.storage, "storage", "", "`URL` of the storage (default: repository.storage of the configuration)")
	flags.StringVar(&p.prefix, "prefix", "", "`folder` in the storage")
	flags.DurationVar(&p.wait, "wait", pushWait, "how `long` to wait for another push of the same tree")
	flags.BoolVar(&p.takeOver, "take-over", false, "the storage holds the copy of another tree, and shall hold this one's")
	flags.BoolVar(&p.verify, "verify", false, "afterwards read everything back and compare it")
	flags.BoolVar(&p.prune, "prune", false, "afterwards remove snapshots and channels that this tree has no more, and what channels' folders held before")
	flags.DurationVar(&p.retain, "retain", pushRetain, "how `long` readers may need what --prune would remove")
	return cmd
}

// pushWait is for how long another push of the same tree is waited for, and
// pushRetain for how long readers may need what a push with --prune would remove.
const (
	pushWait   = 10 * time.Minute
	pushRetain = 24 * time.Hour
)

// storage is what the configuration says about copying what a run publishes; nil:
// nothing. What is missing for it is told before the run, not after it.
func (f *flags) storage() (*push, error) {
	c, err := readConfig(f.config)
	if err != nil || c.Repository.Storage == "" {
		return nil, err
	}
	if _, err := pushProgram(); err != nil {
		return nil, fmt.Errorf("repository.storage is %s: %w", c.Repository.Storage, err)
	}
	return &push{storage: c.Repository.Storage, prefix: c.Repository.Prefix, wait: pushWait, retain: pushRetain}, nil
}

// pushPublished copies what a run has published.
func (f *flags) pushPublished(cmd *cobra.Command, p push, c layout.Channel) error {
	channels := []layout.Channel{c}
	if c == layout.Release {
		channels = append(channels, layout.Updates) // begun with the first release
	}
	if _, err := fmt.Fprintf(cmd.OutOrStdout(), "copying channel %s to %s\n", c, p.storage); err != nil {
		return err
	}
	err := f.push(cmd.Context(), cmd.OutOrStdout(), p, channels)
	if err == nil || cmd.Context().Err() != nil {
		return err
	}
	return &statusError{exitFailed, fmt.Errorf("%w; what was published in %s stands, and ohpc-build repo push completes the copy", err, f.reposFolder())}
}

// push copies the tree in the output folder.
func (f *flags) push(ctx context.Context, out io.Writer, p push, channels []layout.Channel) error {
	root, err := filepath.Abs(filepath.Join(f.out, "repos"))
	if err != nil {
		return err
	}
	tree, err := channel.Open(root, channel.Options{})
	if err != nil {
		return usageError("%w; ohpc-build matrix publishes there, --out names another folder", err)
	}
	defer tree.Close()
	pointers, err := tree.Pointers()
	if err != nil {
		return err
	}
	pointers = slices.DeleteFunc(pointers, func(at layout.Pointer) bool {
		return len(channels) > 0 && !slices.Contains(channels, at.Channel) || len(f.targets) > 0 && !slices.Contains(f.targets, at.Target) ||
			f.release != "" && at.Release != f.release
	})
	if len(pointers) == 0 {
		all, err := tree.Pointers()
		if err != nil {
			return err
		}
		return usageError("nothing that was asked for is published in %s%s; published there: %s", root, f.restriction(), list(all))
	}
	return f.startPush(ctx, out, order.Order{
		Root: root, Storage: p.storage, Prefix: p.prefix, Pointers: pointers, Wait: p.wait, TakeOver: p.takeOver,
		Verify: p.verify, Prune: p.prune, Retain: p.retain, Verbose: f.verbose,
	})
}

// libraryLine is a line that a provider's library logs on its own account (smithy-go:
// logging.StandardLogger). --verbose shows them.
var libraryLine = regexp.MustCompile(`(?m)^SDK \d{4}/\d\d/\d\d \d\d:\d\d:\d\d .*\n?`)

// startPush lets the program that knows cloud storage carry out an order.
func (f *flags) startPush(ctx context.Context, out io.Writer, o order.Order) error {
	program, err := pushProgram()
	if err != nil {
		return err
	}
	var text, said bytes.Buffer
	if err := o.Write(&text); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, program)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = &text, out, io.MultiWriter(&said, os.Stderr)
	if !f.verbose {
		cmd.Stderr = &said
	}
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 30 * time.Second
	err = cmd.Run()
	if err == nil || ctx.Err() != nil {
		return cmp.Or(context.Cause(ctx), err)
	}
	why := strings.TrimSpace(libraryLine.ReplaceAllString(said.String(), ""))
	if why == "" || f.verbose {
		why = err.Error()
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		switch exit.ExitCode() {
		case exitUsage:
			return usageError("%s", why)
		case exitHost:
			return &statusError{exitHost, fmt.Errorf("copying to the storage: %s", why)}
		case exitInterrupted: // a terminal's ^C reached it first
			return &statusError{exitInterrupted, errInterrupted}
		}
	}
	return fmt.Errorf("copying to the storage: %s", why)
}

// pushProgram finds the program beside this one, or where programs are.
func pushProgram() (string, error) {
	if self, err := os.Executable(); err == nil {
		beside := filepath.Join(filepath.Dir(self), order.Program)
		if fi, err := os.Stat(beside); err == nil && fi.Mode().IsRegular() {
			return beside, nil
		}
	}
	path, err := exec.LookPath(order.Program)
	if err != nil {
		return "", &statusError{exitHost, fmt.Errorf("%s is needed for cloud storage, and is neither beside this program nor on the PATH: make push makes it", order.Program)}
	}
	return path, nil
}
