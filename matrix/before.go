package matrix

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/ohpc-build/ohpc-build/matrix/trial"
	"github.com/ohpc-build/ohpc-build/repo/channel"
	"github.com/ohpc-build/ohpc-build/repo/layout"
	"github.com/ohpc-build/ohpc-build/repo/snapshot"
)

// before is what the run's channel has for a snapshot's target now: what the clients
// will upgrade from. It is nil, with the reason, when they have nothing yet.
func (m *Matrix) before(s snapshot.Snapshot) (*trial.Tree, string, error) {
	p := m.pointer(s)
	tree, err := channel.Open(m.reposRoot(), channel.Options{Log: m.opt.Log})
	if err != nil {
		return nil, "", err
	}
	defer tree.Close()
	current, err := tree.Current(p)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Sprintf("nothing is published in channel %s yet", p.Channel), nil
	}
	if err != nil {
		return nil, "", err
	}
	if current.Packages == 0 {
		return nil, fmt.Sprintf("channel %s is empty", p.Channel), nil
	}
	key, err := os.ReadFile(filepath.Join(current.Dir, layout.KeyFile(current.Release)))
	if err != nil {
		return nil, "", fmt.Errorf("the key of %s: %w", p, err)
	}
	return &trial.Tree{Name: "channel " + string(p.Channel), Dir: current.Dir, ID: current.ID, PublicKey: key}, "", nil
}
