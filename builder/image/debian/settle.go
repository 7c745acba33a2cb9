package debian

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/ohpc-build/ohpc-build/builder/image"
)

const (
	// builder is the unprivileged user that runs rpmbuild, and its home.
	builder     = "builder"
	builderID   = 1000
	builderHome = "/build"

	// maxEdited bounds the files that are changed on their way, in bytes.
	maxEdited = 1 << 20
)

// files are written into every image. Those that it has are replaced.
var files = map[string]string{
	// Debian's rpm keeps its database in the user's home. This is where rpm, and
	// the libraries of dnf and zypper, look for it anywhere else.
	"etc/rpm/macros": "%_dbpath /var/lib/rpm\n",
	// As Enterprise Linux has it. Debian's own skips repositories that it cannot
	// read, and takes older packages when the newest does not install.
	"etc/dnf/dnf.conf": "[main]\ngpgcheck=True\nbest=True\nskip_if_unavailable=False\nclean_requirements_on_remove=True\ninstallonly_limit=3\n",

	// mmdebstrap leaves this host's.
	"etc/hostname":    "localhost\n",
	"etc/hosts":       "127.0.0.1 localhost\n::1 localhost\n",
	"etc/resolv.conf": "",
	// Mirrors, with what may be in their URIs, are this host's affair.
	"etc/apt/sources.list": "",
	// Empty says to systemd: not yet known.
	"etc/machine-id": "",
}

// folders are made where they are missing.
var folders = []string{"etc/apt", "etc/dnf", "etc/rpm", "etc/yum.repos.d", "etc/zypp", "etc/zypp/repos.d", "var/lib/rpm", "build"}

// accounts are lines that make the user, by file.
var accounts = map[string]string{
	"etc/passwd":  fmt.Sprintf("%s:x:%d:%d:%[1]s:%[4]s:/bin/bash\n", builder, builderID, builderID, builderHome),
	"etc/group":   fmt.Sprintf("%s:x:%d:\n", builder, builderID),
	"etc/shadow":  fmt.Sprintf("%s:!:%d::::::\n", builder, image.Epoch/86400),
	"etc/gshadow": fmt.Sprintf("%s:!::\n", builder),
}

// dropped are files that tell when and where the bootstrap ran, or copies of
// others that nobody reads. A trailing slash stands for what is in the folder.
var dropped = []string{
	"dev/", "proc/", "sys/", "run/", "tmp/", native + "/",
	"etc/.pwd.lock", "etc/passwd-", "etc/group-", "etc/shadow-", "etc/gshadow-", "etc/subuid-", "etc/subgid-",
	"etc/apt/apt.conf.d/99mmdebstrap", "etc/apt/sources.list.d/", "etc/dpkg/dpkg.cfg.d/99mmdebstrap",
	"var/cache/apt/", "var/cache/debconf/", "var/cache/ldconfig/", "var/lib/apt/lists/",
	"var/lib/dpkg/status-old", "var/lib/dpkg/diversions-old", "var/lib/dpkg/statoverride-old", "var/lib/dpkg/available",
	"var/lib/dpkg/lock", "var/lib/dpkg/lock-frontend", "var/lib/dpkg/triggers/Lock",
	"var/lib/systemd/", "var/log/", "var/lib/dbus/machine-id",
	// What a program compiled of itself while it ran differs from run to run.
	"usr/share/python3/debpython/__pycache__/",
}

// sorted are files to which packages add lines in the order in which they happen
// to be configured. Comments stay at the top.
var sorted = []string{"etc/shells"}

// settle copies an archive and changes on the way what an image should have
// different.
func settle(from io.Reader, to io.Writer) error {
	tr, tw := tar.NewReader(from), tar.NewWriter(to)
	seen := map[string]bool{}
	for {
		hdr, err := tr.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("reading mmdebstrap's archive: %w", err)
		}
		name := strings.TrimPrefix(path.Clean("/"+hdr.Name), "/")
		if _, replaced := files[name]; replaced || isDropped(name) {
			continue
		}
		seen[name] = true
		body := io.Reader(tr)
		if edit := editOf(name); edit != nil && hdr.Typeflag == tar.TypeReg {
			old, err := io.ReadAll(io.LimitReader(tr, maxEdited))
			if err != nil {
				return fmt.Errorf("reading %s from mmdebstrap's archive: %w", name, err)
			}
			edited := edit(old)
			hdr.Size = int64(len(edited))
			body = bytes.NewReader(edited)
		}
		normalize(hdr, name)
		if err := tw.WriteHeader(hdr); err != nil {
			return fmt.Errorf("writing %s to the image: %w", name, err)
		}
		if _, err := io.Copy(tw, body); err != nil {
			return fmt.Errorf("writing %s to the image: %w", name, err)
		}
	}
	// What comes after the archive's end is whether mmdebstrap succeeded.
	if _, err := io.Copy(io.Discard, from); err != nil {
		return fmt.Errorf("reading mmdebstrap's archive: %w", err)
	}
	if !seen["etc/passwd"] {
		return errors.New("mmdebstrap's archive holds no etc/passwd: it is no root file system")
	}
	if err := add(tw, seen); err != nil {
		return fmt.Errorf("writing the image's settings: %w", err)
	}
	return tw.Close()
}

// editOf is what happens to a file on its way; nil: nothing.
func editOf(name string) func([]byte) []byte {
	if line, ok := accounts[name]; ok {
		return func(old []byte) []byte { return slices.Concat(old, []byte(line)) }
	}
	if slices.Contains(sorted, name) {
		return sortLines
	}
	return nil
}

// sortLines sorts all lines but the comments at the top.
func sortLines(text []byte) []byte {
	lines := slices.Collect(bytes.Lines(text))
	top := 0
	for top < len(lines) && bytes.HasPrefix(lines[top], []byte("#")) {
		top++
	}
	slices.SortFunc(lines[top:], bytes.Compare)
	return bytes.Join(lines, nil)
}

// add appends our own folders and files.
func add(tw *tar.Writer, seen map[string]bool) error {
	for _, name := range folders {
		if seen[name] {
			continue
		}
		hdr := &tar.Header{Typeflag: tar.TypeDir, Name: name, Mode: 0o755}
		if "/"+name == builderHome {
			hdr.Uid, hdr.Gid = builderID, builderID
		}
		normalize(hdr, name)
		if err := tw.WriteHeader(hdr); err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		hdr := &tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: int64(len(files[name]))}
		normalize(hdr, name)
		if err := tw.WriteHeader(hdr); err != nil {
			return err
		}
		if _, err := io.WriteString(tw, files[name]); err != nil {
			return err
		}
	}
	return nil
}

func isDropped(name string) bool {
	for _, d := range dropped {
		if name == d || (strings.HasSuffix(d, "/") && strings.HasPrefix(name, d)) {
			return true
		}
	}
	return false
}

// normalize leaves in a header what says something about the file, not about the
// run that wrote it.
func normalize(hdr *tar.Header, name string) {
	hdr.Name = name
	if hdr.Typeflag == tar.TypeDir {
		hdr.Name += "/"
	}
	if name == "" {
		hdr.Name = "./"
	}
	latest := time.Unix(image.Epoch, 0)
	if hdr.ModTime.After(latest) || hdr.ModTime.Unix() <= 0 {
		hdr.ModTime = latest
	}
	hdr.ModTime = hdr.ModTime.Truncate(time.Second)
	hdr.AccessTime, hdr.ChangeTime = time.Time{}, time.Time{}
	hdr.Uname, hdr.Gname = "", ""
	delete(hdr.PAXRecords, "mtime")
	hdr.Format = tar.FormatPAX
}
