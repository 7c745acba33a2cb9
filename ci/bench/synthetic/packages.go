package synthetic

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/ohpc-build/ohpc-build/repo/rpm"
	"github.com/ohpc-build/ohpc-build/repo/rpm/write"
)

// FilesPerPackage is about what a package of OpenHPC holds.
const FilesPerPackage = 60

// Packages writes n packages of 60 small files, one of which has that many bytes
// that do not compress: the same ones whenever it is called.
func Packages(dir string, n, bulk int) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	var group errgroup.Group
	group.SetLimit(runtime.NumCPU())
	for i := range n {
		group.Go(func() error { return Package(dir, i, bulk) })
	}
	return group.Wait()
}

// Package writes one of them.
func Package(dir string, i, bulk int) error {
	p := aPackage(i)
	data := make([]byte, bulk)
	random := rand.NewChaCha8([32]byte{byte(i), byte(i >> 8), byte(i >> 16), byte(i >> 24)})
	_, _ = random.Read(data) // does not fail; math/rand/v2
	p.Files = append(p.Files, write.File{Path: fmt.Sprintf("/opt/bench/p%05d/lib/lib.so", i), Mode: 0o100755, Data: data})
	return writePackage(filepath.Join(dir, FileName(i)), p)
}

// FileName is what the file of one of them is called.
func FileName(i int) string {
	p := aPackage(i)
	return fmt.Sprintf("%s-%s-%s.%s.rpm", p.Name, p.Version, p.Release, p.Arch)
}

func aPackage(i int) write.Package {
	p := write.Package{
		Name: fmt.Sprintf("bench-p%05d-gnu14-ohpc", i), Version: "1.2.3", Release: "1320.ohpc", Arch: "x86_64",
		Summary: "Stands for a package", License: "Apache-2.0", Description: "Stands for a package in measurements.",
		SourceRPM: fmt.Sprintf("bench-p%05d-gnu14-ohpc-1.2.3-1320.ohpc.src.rpm", i),
		BuildTime: time.Unix(1_700_000_000+int64(i), 0), BuildHost: "bench",
	}
	for k := range 12 {
		p.Changelog = append(p.Changelog, rpm.Change{
			Time: int64(1_700_000_000 - k*86400*(30+i%7)), Author: fmt.Sprintf("Nobody <nobody%d@example.org> - 1.2.3-%d", i%50, 12-k),
			Text: fmt.Sprintf("- Change %d of what stands for package %d\n- and another line of it", 12-k, i),
		})
	}
	for k := range 10 {
		p.Requires = append(p.Requires, rpm.Dependency{Name: fmt.Sprintf("libbench%d.so.%d()(64bit)", (i+7*k)%500, k)})
		p.Provides = append(p.Provides, rpm.Dependency{Name: fmt.Sprintf("libbench%d.so.%d()(64bit)", i, k)})
	}
	for k := range FilesPerPackage - 1 {
		path := fmt.Sprintf("/opt/bench/p%05d/include/part%d/header%02d.h", i, k%5, k)
		p.Files = append(p.Files, write.File{Path: path, Data: []byte("/* " + path + " */\n")})
	}
	return p
}

func writePackage(path string, p write.Package) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := write.Write(f, p); err != nil {
		return err
	}
	return f.Close()
}
