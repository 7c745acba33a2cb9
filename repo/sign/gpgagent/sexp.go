package gpgagent

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
)

// signature is what an answer to PKSIGN holds: the canonical S-expression
// (sig-val (rsa (s …))) or (sig-val (eddsa (r …) (s …))).
func signature(answer []byte) ([]byte, error) {
	kind, values, err := parse(answer)
	if err != nil {
		return nil, fmt.Errorf("gpg-agent's signature: %w", err)
	}
	switch kind {
	case "rsa":
		return values["s"], nil
	case "eddsa":
		const half = 32
		raw := make([]byte, 2*half)
		for i, name := range []string{"r", "s"} {
			v := values[name]
			if len(v) > half {
				return nil, errors.New("gpg-agent's signature: it is not one of Ed25519")
			}
			copy(raw[(i+1)*half-len(v):], v)
		}
		return raw, nil
	}
	return nil, fmt.Errorf("gpg-agent's signature is of the kind %q; rsa and eddsa (Ed25519) can be used", kind)
}

var errExpression = errors.New("it is not an S-expression of the expected form")

// parse reads (sig-val (kind (name value)…)).
func parse(b []byte) (kind string, values map[string][]byte, err error) {
	next := func() (token []byte, atom bool) {
		if len(b) > 0 && (b[0] == '(' || b[0] == ')') {
			token, b = b[:1], b[1:]
			return token, false
		}
		digits, rest, ok := bytes.Cut(b, []byte(":"))
		n, err := strconv.ParseUint(string(digits), 10, 16)
		if !ok || err != nil || n > uint64(len(rest)) {
			return nil, false
		}
		token, b = rest[:n], rest[n:]
		return token, true
	}
	expect := func(bracket string) bool {
		token, atom := next()
		return !atom && string(token) == bracket
	}
	word := func(want string) bool {
		token, atom := next()
		return atom && string(token) == want
	}

	if !expect("(") || !word("sig-val") || !expect("(") {
		return "", nil, errExpression
	}
	name, ok := next()
	if !ok {
		return "", nil, errExpression
	}
	kind, values = string(name), map[string][]byte{}
	for {
		token, atom := next()
		switch {
		case !atom && string(token) == ")" && expect(")"):
			return kind, values, nil
		case atom || string(token) != "(":
			return "", nil, errExpression
		}
		name, ok := next()
		value, also := next()
		if !ok || !also || !expect(")") {
			return "", nil, errExpression
		}
		values[string(name)] = value
	}
}
