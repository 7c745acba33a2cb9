package resolve

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

// dnfScript asks dnf's own library: its command line does not tell where a package
// came from, nor reliably which one it chose.
//
//go:embed dnf.py
var dnfScript []byte

const (
	// patience is for how many seconds a repository may send nothing.
	patience = 30

	// maxAnswer bounds what a manager may answer, in bytes.
	maxAnswer = 16 << 20
)

func askDNF(ctx context.Context, q *question) (*answer, error) {
	request, err := json.Marshal(map[string]any{
		"own": ownRepository, "install": q.install, "timeout": patience, "limit": q.Limit,
	})
	if err != nil {
		return nil, err
	}
	for name, text := range map[string][]byte{"request.json": request, "dnf.py": dnfScript} {
		if err := os.WriteFile(filepath.Join(q.dir, name), text, 0o644); err != nil {
			return nil, err
		}
	}
	output, err := q.run(ctx, "python3", "-I", "-B", inside+"/dnf.py", inside)
	if err != nil {
		return nil, q.failed(err, output)
	}
	text, err := readAnswer(filepath.Join(q.dir, "answer.json"))
	if err != nil {
		return nil, fmt.Errorf("dnf left no answer: %w\n%s", err, lastLines(output))
	}
	a := &answer{}
	if err := json.Unmarshal(text, a); err != nil {
		return nil, fmt.Errorf("dnf's answer cannot be read: %w", err)
	}
	return a, nil
}

// readAnswer reads a file that the container wrote.
func readAnswer(path string) ([]byte, error) {
	fi, err := os.Lstat(path)
	if err != nil {
		return nil, err
	}
	if !fi.Mode().IsRegular() || fi.Size() > maxAnswer {
		return nil, fmt.Errorf("%s is no file of at most %d bytes", filepath.Base(path), maxAnswer)
	}
	return os.ReadFile(path)
}
