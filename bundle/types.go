package bundle

import (
	"crypto/sha256"
	"encoding/hex"

	"github.com/ssbsync/ssbsync/spec/refs"
)

// CodecJSONL is the interchange codec of message frames: one message value a
// line, as compact JSON.
const CodecJSONL = "jsonl"

// CodecCompact is the codec that takes the least space (package compact).
const CodecCompact = "compact"

// Codecs returns the codecs that this package reads and writes, ascending.
func Codecs() []string { return []string{CodecCompact, CodecJSONL} }

// Header says what a bundle is, before its contents.
type Header struct {
	Network [32]byte // as of NetworkID
	Codec   string   // "" = CodecJSONL
}

// NetworkID names a network by its caps without giving them away: the caps
// are access secrets and never reach media. sign is empty on a network
// without an hmac key.
func NetworkID(shs [32]byte, sign []byte) [32]byte {
	h := sha256.New()
	h.Write([]byte("ssbsync network v1"))
	h.Write(shs[:])
	h.Write(sign)
	return [32]byte(h.Sum(nil))
}

// Record is one message to write.
type Record struct {
	Feed  refs.Feed
	Seq   int64
	ID    refs.Message // as computed from the message: the codec compact relies on it
	Value []byte       // compact JSON, at most MaxMessage bytes, no line feed
}

// IDPrefix is the first 8 bytes of a message id, enough to notice a fork.
type IDPrefix [8]byte

// Prefix returns the prefix of id that range tables carry.
func Prefix(id refs.Message) IDPrefix { return IDPrefix(id[:8]) }

// MarshalText returns the prefix in hexadecimal.
func (p IDPrefix) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, p[:]), nil }

// Run is a stretch of one feed without gaps: the messages First to Last, both
// included. It is the exporter's claim: only the messages prove it.
type Run struct {
	Feed   refs.Feed `json:"feed"`
	First  int64     `json:"first"`
	Last   int64     `json:"last"`
	LastID IDPrefix  `json:"last_id"` // of the message Last
}

// Len returns the number of messages of the run.
func (r Run) Len() int { return int(r.Last - r.First + 1) }
