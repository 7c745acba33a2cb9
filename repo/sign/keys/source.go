package keys

import (
	"context"
	"errors"
	"path/filepath"
	"strings"

	"github.com/ohpc-build/ohpc-build/repo/sign"
	"github.com/ohpc-build/ohpc-build/repo/sign/command"
	"github.com/ohpc-build/ohpc-build/repo/sign/gpgagent"
)

// Source says where the signing key is. At most one of File, Agent and Command is
// set; with none it is the folder's own file, which is made when it is needed.
type Source struct {
	File      string   // armored private key, without passphrase
	Agent     string   // fingerprint of a key that gpg-agent holds
	Command   []string // program that signs, and its arguments
	PublicKey string   // file with the public half of Command's key
}

// Check says what is wrong with a source.
func (s Source) Check() error {
	set := 0
	for _, is := range []bool{s.File != "", s.Agent != "", len(s.Command) > 0} {
		if is {
			set++
		}
	}
	switch {
	case set > 1:
		return errors.New("the signing key is in one place: file, agent or command")
	case len(s.Command) > 0 && s.PublicKey == "":
		return errors.New("a command that signs needs public-key: the file of the key's public half")
	case len(s.Command) == 0 && s.PublicKey != "":
		return errors.New("public-key belongs to a command that signs; with a file or gpg-agent the public half is known")
	}
	return nil
}

// String tells people where the key is.
func (f *Folder) String() string {
	switch s := f.source; {
	case s.Agent != "":
		return "gpg-agent"
	case len(s.Command) > 0:
		return "command " + strings.Join(s.Command, " ")
	}
	return "file " + f.path()
}

// elsewhere says whether the private half is not in a file.
func (s Source) elsewhere() bool { return s.Agent != "" || len(s.Command) > 0 }

// path is the file of the private half.
func (f *Folder) path() string {
	if f.source.File != "" {
		return f.source.File
	}
	return filepath.Join(f.dir, "signing.asc")
}

// load is the key that signs, alone.
func (f *Folder) load(ctx context.Context) (*sign.Key, error) {
	switch s := f.source; {
	case s.Agent != "":
		return gpgagent.Open(ctx, s.Agent)
	case len(s.Command) > 0:
		return command.Open(s.Command, s.PublicKey)
	}
	return sign.LoadKey(f.path())
}
