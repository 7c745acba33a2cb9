package store

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// maxRecord bounds what is read back as one record, in bytes.
const maxRecord = 64 << 20

// envelope is how a record lies on disk.
type envelope struct {
	SHA256 Digest          `json:"sha256"` // of Value's bytes
	Value  json.RawMessage `json:"value"`
}

// recordPath hashes the name, so that any string can be one.
func (s *Store) recordPath(kind, name string) string {
	return filepath.Join(s.dir, "records", kind, Of([]byte(name)).Hex()+".json")
}

// PutRecord keeps v as JSON under kind (a fixed word of the program's) and
// name (any string). What was there under the same name is replaced.
func (s *Store) PutRecord(kind, name string, v any) error {
	value, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("writing record %s/%s: %w", kind, name, err)
	}
	doc, err := json.Marshal(envelope{SHA256: Of(value), Value: value})
	if err != nil {
		return fmt.Errorf("writing record %s/%s: %w", kind, name, err)
	}
	tmp, err := os.CreateTemp(filepath.Join(s.dir, "tmp"), s.session.pattern("record-"))
	if err != nil {
		return fmt.Errorf("writing record %s/%s: %w", kind, name, err)
	}
	defer func() {
		tmp.Close()
		os.Remove(tmp.Name())
	}()
	if _, err := tmp.Write(doc); err != nil {
		return fmt.Errorf("writing record %s/%s: %w", kind, name, err)
	}
	return s.commit(tmp, s.recordPath(kind, name))
}

// Record reads what PutRecord kept into v. The error is ErrNotFound when there
// is none and a *CorruptError when it was damaged; either way the caller makes
// the record anew.
func (s *Store) Record(kind, name string, v any) error {
	path := s.recordPath(kind, name)
	// A mark that cannot be made is told by reading.
	if err := s.use(path); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("record %s/%s: %w", kind, name, ErrNotFound)
	}
	return s.readRecord(path, kind+"/"+name, v)
}

// readRecord reads the record at path, which errors call by its kind and name.
func (s *Store) readRecord(path, name string, v any) error {
	fi, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("record %s: %w", name, ErrNotFound)
	}
	if err != nil {
		return fmt.Errorf("reading record %s: %w", name, err)
	}
	if fi.Size() > maxRecord {
		return fmt.Errorf("reading record %s: %s is larger than %d bytes", name, path, maxRecord)
	}
	doc, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("reading record %s: %w", name, err)
	}
	var e envelope
	if err := json.Unmarshal(doc, &e); err != nil {
		return &CorruptError{Path: path, Want: "a JSON record", Got: Of(doc)}
	}
	if got := Of(bytes.TrimSpace(e.Value)); got != e.SHA256 {
		return &CorruptError{Path: path, Want: e.SHA256, Got: got}
	}
	if err := json.Unmarshal(e.Value, v); err != nil {
		return fmt.Errorf("reading record %s from %s: %w", name, path, err)
	}
	return nil
}
