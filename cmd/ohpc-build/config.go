package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"

	"github.com/ohpc-build/ohpc-build/recipes"
	"github.com/ohpc-build/ohpc-build/recipes/strict"
	"github.com/ohpc-build/ohpc-build/recipes/targets"
	"github.com/ohpc-build/ohpc-build/repo/sign/keys"
)

// defaultConfig is read from the current folder when it is there.
const defaultConfig = "ohpc-build.yaml"

// defaultURL is where the tree in <out>/repos is to be found by clients. It is
// a folder of the client's own as long as nobody says where the tree is served.
const defaultURL = "file:///srv/repos"

// config is ohpc-build.yaml. Every field may be left out; flags override it.
type config struct {
	Release string `yaml:"release"` // release train; the repository's folder and the key's name

	// Targets to work for; default: all of the catalogue. A name alone, or with it
	// what changes a target that there is or makes a new one.
	Definitions []targets.Definition `yaml:"targets"`
	Targets     []string             `yaml:"-"` // their names

	Architectures []string          `yaml:"architectures"` // default: all of each target
	Families      map[string]string `yaml:"families"`      // kind → the one to build with; default: all
	Catalog       string            `yaml:"catalog"`       // folder; default: the embedded catalogue
	Runtime       string            `yaml:"runtime"`       // OCI runtime; default: runc
	Repository    struct {
		URL     string `yaml:"url"`     // what clients put before /OpenHPC/<release>/<target>
		Storage string `yaml:"storage"` // URL of the cloud storage that publishing copies to; default: none
		Prefix  string `yaml:"prefix"`  // folder in the storage
	} `yaml:"repository"`
	Mirrors struct {
		Debian string `yaml:"debian"` // package archive; default: the one that the host's apt uses
	} `yaml:"mirrors"`
	Key keyConfig `yaml:"key"`

	doc *strict.Document // nil when there is no file
}

// keyConfig says where the signing key is; without file, agent and command it is
// in the state folder.
type keyConfig struct {
	Name  string `yaml:"name"` // of the key that is generated where there is none
	Email string `yaml:"email"`

	File      string   `yaml:"file"`       // armored private key
	Agent     string   `yaml:"agent"`      // fingerprint of a key that gpg-agent holds
	Command   []string `yaml:"command"`    // program that signs digests
	PublicKey string   `yaml:"public-key"` // file with the public half of the command's key
}

func (k keyConfig) source() keys.Source {
	return keys.Source{File: k.File, Agent: k.Agent, Command: k.Command, PublicKey: k.PublicKey}
}

// readConfig reads path, or the default file when path is empty and it exists.
func readConfig(path string) (*config, error) {
	c := &config{}
	explicit := path != ""
	if !explicit {
		path = defaultConfig
	}
	data, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && !explicit:
	case err != nil:
		return nil, &statusError{exitUsage, fmt.Errorf("reading the configuration: %w", err)}
	default:
		if c.doc, err = strict.Decode(path, data, c); err != nil {
			return nil, &statusError{exitUsage, err}
		}
	}
	c.Targets = targets.Names(c.Definitions)
	c.setDefaults()
	if u, err := url.Parse(c.Repository.URL); err != nil || (u.Scheme != "file" && u.Scheme != "http" && u.Scheme != "https") {
		return nil, usageError("%s: repository.url %q is not a file:, http: or https: URL", path, c.Repository.URL)
	}
	if err := c.Key.source().Check(); err != nil {
		return nil, usageError("%s: key: %w", path, err)
	}
	return c, nil
}

// completeTargets gives a catalogue the targets that ship with the program and
// those that the configuration defines or changes. The targets to work for stay
// the catalogue's own when the configuration names none.
func (c *config) completeTargets(cat *recipes.Catalog) error {
	if len(c.Targets) == 0 {
		for _, t := range cat.Targets {
			c.Targets = append(c.Targets, t.Name)
		}
	}
	all, err := targets.Merge(cat.Targets, c.Definitions, c.doc)
	if err != nil {
		return &statusError{exitUsage, err}
	}
	cat.Targets = all
	return nil
}

func (c *config) setDefaults() {
	def := func(field *string, value string) {
		if *field == "" {
			*field = value
		}
	}
	def(&c.Release, "3")
	def(&c.Runtime, "runc")
	def(&c.Repository.URL, defaultURL)
	def(&c.Key.Name, "OpenHPC "+c.Release)
	def(&c.Key.Email, "root@localhost")
}
