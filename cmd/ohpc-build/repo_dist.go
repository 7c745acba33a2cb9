package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ohpc-build/ohpc-build/repo/channel"
	"github.com/ohpc-build/ohpc-build/repo/dist"
	"github.com/ohpc-build/ohpc-build/repo/layout"
	"github.com/ohpc-build/ohpc-build/repo/lock"
	"github.com/ohpc-build/ohpc-build/repo/sign"
	"github.com/ohpc-build/ohpc-build/repo/verify"
)

func newRepoDist(f *flags) *cobra.Command {
	var from, to string
	var sources bool
	cmd := &cobra.Command{
		Use:   "dist",
		Short: "Make archives of what is published, for systems without a network",
		Long: `dist makes a tar archive for each target and architecture of a channel: the
packages, metadata of exactly these, the public keys, and make_repo.sh, which makes
the unpacked folder known to dnf, yum or zypper. A detached signature lies beside
each archive.`,
		Example: `  ohpc-build repo dist
  ohpc-build repo dist --channel staging --target EL_9 --arch aarch64 --sources --to /srv/dist`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := parseChannel("--channel", from)
			if err != nil {
				return err
			}
			_, key, err := f.existingKey()
			if err != nil {
				return err
			}
			tree, err := f.published(cmd, 0, false)
			if err != nil {
				return err
			}
			defer tree.Close()
			if to == "" {
				to = filepath.Join(f.out, "dist")
			}
			if err := os.MkdirAll(to, 0o755); err != nil {
				return usageError("the folder for the archives: %w", err)
			}
			release, err := lock.Tidy(to, unnamedArchive, unnamedSignature)
			if err != nil {
				return fmt.Errorf("removing what an interrupted run left: %w; --to names another folder", err)
			}
			return errors.Join(f.dist(cmd, tree, c, key, to, sources), release())
		},
	}
	cmd.Flags().StringVar(&from, "channel", string(layout.Release), "`channel` to take the packages from")
	cmd.Flags().StringVar(&to, "to", "", "`folder` for the archives (default: dist in the output folder)")
	cmd.Flags().BoolVar(&sources, "sources", false, "the source packages too")
	return cmd
}

// What archives and signatures are called until they are complete.
const (
	unnamedArchive   = ".new-*.tar"
	unnamedSignature = ".new-*.asc"
)

// dist makes the archives of a channel that the flags ask for.
func (f *flags) dist(cmd *cobra.Command, tree *channel.Tree, c layout.Channel, key *sign.Key, to string, sources bool) error {
	pointers, err := f.pointers(tree, c)
	if err != nil {
		return err
	}
	made := 0
	var known []string
	for _, p := range pointers {
		snap, err := tree.Current(p)
		if err != nil {
			return err
		}
		if err := verify.Repository(cmd.Context(), snap.Dir, key.Published()); err != nil {
			return err
		}
		for _, arch := range snap.Arches {
			known = append(known, arch)
			if len(f.architectures) > 0 && !slices.Contains(f.architectures, arch) {
				continue
			}
			a := dist.Archive{Snapshot: snap.Dir, Release: p.Release, Target: p.Target, Arch: arch, Sources: sources, Signer: key}
			path := filepath.Join(to, a.Name())
			summary, err := writeArchive(cmd.Context(), a, key, path)
			if err != nil {
				return err
			}
			made++
			if _, err := fmt.Fprintf(cmd.OutOrStdout(), "%s: %s, %s, from %s\n", path, plural(summary.Packages, "package"), size(summary.Bytes), snap.ID[:12]); err != nil {
				return err
			}
		}
	}
	if made == 0 {
		slices.Sort(known)
		return usageError("channel %s has nothing for --arch %s; it is for %s", c, strings.Join(f.architectures, ","), strings.Join(slices.Compact(known), ", "))
	}
	return nil
}

// writeArchive writes an archive and its signature, and gives them their names
// when they are complete.
func writeArchive(ctx context.Context, a dist.Archive, key *sign.Key, path string) (summary dist.Summary, err error) {
	tmp, err := os.CreateTemp(filepath.Dir(path), unnamedArchive)
	if err != nil {
		return summary, fmt.Errorf("making an archive: %w; --to names another folder", err)
	}
	defer os.Remove(tmp.Name()) // after the rename there is nothing to remove
	defer tmp.Close()
	if summary, err = a.Write(ctx, tmp); err != nil {
		return summary, err
	}
	if _, err := tmp.Seek(0, 0); err != nil {
		return summary, err
	}
	signature, err := os.CreateTemp(filepath.Dir(path), unnamedSignature)
	if err != nil {
		return summary, err
	}
	defer os.Remove(signature.Name())
	defer signature.Close()
	if err := key.SignDetached(signature, tmp, summary.Time); err != nil {
		return summary, err
	}
	for _, f := range []*os.File{tmp, signature} {
		if err := f.Chmod(0o644); err != nil {
			return summary, err
		}
		if err := f.Sync(); err != nil {
			return summary, err
		}
	}
	if err := os.Rename(signature.Name(), path+".asc"); err != nil {
		return summary, err
	}
	return summary, os.Rename(tmp.Name(), path)
}
