// Package gpgagent signs with keys that gpg-agent holds: in a person's keyring, or
// on a card. The agent is asked over its socket, in the Assuan protocol, and gets
// digests only; gpg itself only tells of the public half. So a signature costs
// one exchange of messages, not one start of gpg.
package gpgagent
