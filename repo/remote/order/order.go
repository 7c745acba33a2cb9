// Package order is what ohpc-build asks of ohpc-build-push, the program that talks
// to cloud storage. The providers' own libraries are larger than everything else
// together and take memory in every process that has them, hence a program of
// their own.
package order

import (
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/ohpc-build/ohpc-build/repo/layout"
)

// Program is the name of the program that takes an Order on standard input.
const Program = "ohpc-build-push"

// Version changes whenever an Order means something else.
const Version = 1

// Order says what to copy where.
type Order struct {
	Version  int              `json:"version"`
	Root     string           `json:"root"`    // of the published tree
	Storage  string           `json:"storage"` // URL
	Prefix   string           `json:"prefix,omitempty"`
	Pointers []layout.Pointer `json:"pointers"`
	Wait     time.Duration    `json:"wait"` // nanoseconds, as are all durations
	TakeOver bool             `json:"takeOver,omitempty"`
	Verify   bool             `json:"verify,omitempty"`
	Prune    bool             `json:"prune,omitempty"`
	Retain   time.Duration    `json:"retain"`
	Verbose  bool             `json:"verbose,omitempty"`
}

// Write sends an order.
func (o Order) Write(w io.Writer) error {
	o.Version = Version
	return json.NewEncoder(w).Encode(o)
}

// Read receives an order.
func Read(r io.Reader) (Order, error) {
	var o Order
	d := json.NewDecoder(io.LimitReader(r, 1<<20))
	d.DisallowUnknownFields()
	if err := d.Decode(&o); err != nil {
		return Order{}, fmt.Errorf("reading the order: %w", err)
	}
	if o.Version != Version {
		return Order{}, fmt.Errorf("the order is version %d, this program takes version %d: install the two programs of one release", o.Version, Version)
	}
	return o, nil
}
