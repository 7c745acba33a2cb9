package trial

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/ohpc-build/ohpc-build/matrix/repodata"
	"github.com/ohpc-build/ohpc-build/repo/rpmmd"
	"github.com/ohpc-build/ohpc-build/validate"
)

const noarch = "noarch"

// cellPackages are the packages of the snapshot that the cell's users install.
func (t *Trial) cellPackages(ctx context.Context) ([]rpmmd.Record, error) {
	return t.records(ctx, func(arch string) bool { return arch == t.cell.Arch || arch == noarch })
}

func (t *Trial) records(ctx context.Context, wanted func(arch string) bool) ([]rpmmd.Record, error) {
	tested, err := repodata.Open(ctx, t.cell.Snapshot.Dir)
	if err != nil {
		return nil, err
	}
	all, err := tested.Records(ctx)
	if err != nil {
		return nil, err
	}
	var records []rpmmd.Record
	for _, rec := range all {
		if wanted(rec.Arch) {
			records = append(records, rec)
		}
	}
	return records, nil
}

// path is where a package's file is.
func (t *Trial) path(rec rpmmd.Record) string {
	return filepath.Join(t.cell.Snapshot.Dir, filepath.FromSlash(rec.Location))
}

// open opens a package whose bytes are those of the metadata.
func (t *Trial) open(ctx context.Context, rec rpmmd.Record) (*os.File, error) {
	path := t.path(rec)
	fi, err := os.Lstat(path)
	if err != nil {
		return nil, err
	}
	if !fi.Mode().IsRegular() { // opening a pipe would wait for its writer
		return nil, fmt.Errorf("%s is no file", path)
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	if err := repodata.Verify(ctx, rec, file); err != nil {
		file.Close()
		return nil, err
	}
	return file, nil
}

// maxReasons bounds how many findings are a check's reason; its log has all.
const maxReasons = 20

// verdict is a check that failed for some reasons, or passed.
func verdict(k check, begin time.Time, reasons []string, log *strings.Builder) validate.Check {
	result := validate.Check{Name: k.name, Subject: k.subject, Outcome: validate.Pass, Duration: time.Since(begin), Log: []byte(log.String())}
	if len(reasons) == 0 {
		return result
	}
	more := ""
	if len(reasons) > maxReasons {
		more = fmt.Sprintf("\nand %d more: see the log", len(reasons)-maxReasons)
		reasons = reasons[:maxReasons]
	}
	result.Outcome, result.Reason = validate.Fail, strings.Join(reasons, "\n")+more
	return result
}
