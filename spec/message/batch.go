package message

import (
	"crypto/sha256"
	"fmt"

	"github.com/ssbsync/ssbsync/spec/ecmajson"
	"github.com/ssbsync/ssbsync/spec/keys"
	"github.com/ssbsync/ssbsync/spec/refs"
)

// batch is the work of one VerifyBatch.
type batch struct {
	net      *keys.HMAC
	parser   ecmajson.Parser
	lowBytes []byte
	results  []Result

	// One for each message whose form is valid.
	signed   []keys.Signed
	messages []*Message
	origin   []int // index in results

	// Memory to carve from.
	texts  slab // what signatures are over
	values slab // what messages keep
	fresh  []Message
}

func newBatch(raws [][]byte, net *keys.HMAC) *batch {
	n, total := len(raws), 0
	for _, raw := range raws {
		total += min(len(raw), MaxRaw)
	}
	return &batch{
		net:      net,
		parser:   ecmajson.Parser{MaxUnits: MaxUnits},
		results:  make([]Result, n),
		signed:   make([]keys.Signed, 0, n),
		messages: make([]*Message, 0, n),
		origin:   make([]int, 0, n),
		texts:    slab{expect: total + total/8},
		values:   slab{expect: total},
	}
}

// add parses raws[i] and queues its signature.
func (b *batch) add(i int, raw []byte) {
	text, reason := b.canonical(raw)
	m := b.message()
	var sig [64]byte
	if reason == "" {
		sig, reason = m.read(text.Members)
	}
	if reason != "" {
		*m = Message{}
		b.results[i].Err = invalid(text.Compact, reason)
		return
	}
	b.fresh = b.fresh[1:]
	m.id = b.id(text)
	m.value = b.values.alloc(len(text.Compact))
	copy(m.value, text.Compact)
	b.messages = append(b.messages, m)
	b.origin = append(b.origin, i)
	b.signed = append(b.signed, keys.Signed{Feed: m.feed, Msg: b.net.Payload(b.unsigned(text)), Sig: sig})
}

// canonical returns the text of raw that decides. If the reason is not empty
// there is none, or only its compact form.
func (b *batch) canonical(raw []byte) (text ecmajson.Text, reason string) {
	if len(raw) > MaxRaw {
		return text, fmt.Sprintf("its text has %d bytes, the limit is %d", len(raw), MaxRaw)
	}
	text, err := b.parser.Parse(raw)
	switch {
	case err == ecmajson.ErrTooLong:
		return text, tooLong
	case err != nil:
		return text, err.Error()
	}
	return text, ""
}

// unsigned returns a copy of the text without its last member, the signature.
func (b *batch) unsigned(text ecmajson.Text) []byte {
	const closing = "\n}"
	end := text.Members[contentField].End
	signed := b.texts.alloc(end + len(closing))
	copy(signed, text.Indented[:end])
	copy(signed[end:], closing)
	return signed
}

// message returns a zero Message, the same one until it is taken from fresh.
func (b *batch) message() *Message {
	if len(b.fresh) == 0 {
		b.fresh = make([]Message, min(64, len(b.results)-len(b.messages)))
	}
	return &b.fresh[0]
}

// id returns the SHA-256 over the low byte of each UTF-16 unit.
func (b *batch) id(text ecmajson.Text) refs.Message {
	if text.Units == len(text.Indented) {
		return sha256.Sum256(text.Indented)
	}
	b.lowBytes = ecmajson.AppendLowBytes(b.lowBytes[:0], text.Indented)
	return sha256.Sum256(b.lowBytes)
}

// settle turns the verdict on the i-th signature into a result.
func (b *batch) settle(i int, valid bool) {
	r, m := &b.results[b.origin[i]], b.messages[i]
	if valid {
		r.Message = m
		return
	}
	r.Err = &InvalidError{Feed: m.feed, Seq: m.seq, Reason: "the signature does not verify"}
	*m = Message{}
}

// slabSize bounds how much memory one message that is kept can keep from
// being freed, in bytes.
const slabSize = 64 << 10

// slab hands out parts of larger allocations.
type slab struct {
	free   []byte
	expect int // bytes that will probably still be asked for
}

// alloc returns n zero bytes.
func (s *slab) alloc(n int) []byte {
	if n > len(s.free) {
		s.free = make([]byte, max(n, min(slabSize, s.expect)))
	}
	part := s.free[:n:n]
	s.free = s.free[n:]
	s.expect -= n
	return part
}
