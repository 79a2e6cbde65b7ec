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
	if len(raw) > MaxRaw {
		reason := fmt.Sprintf("text of %d bytes, the limit is %d", len(raw), MaxRaw)
		b.results[i].Err = &InvalidError{Reason: reason}
		return
	}
	text, err := b.parser.Parse(raw)
	if err != nil {
		b.results[i].Err = invalid(text.Compact, err.Error())
		return
	}
	m := b.message()
	sig, reason := m.read(text.Members)
	if reason != "" {
		*m = Message{}
		b.results[i].Err = invalid(text.Compact, reason)
		return
	}
	b.fresh = b.fresh[1:]
	m.id = b.id(text)
	b.keep(m, text.Compact)
	b.messages = append(b.messages, m)
	b.origin = append(b.origin, i)
	signed := b.texts.alloc(text.Members[contentField].End + len(closing))
	copy(signed[copy(signed, text.Indented[:text.Members[contentField].End]):], closing)
	b.signed = append(b.signed, keys.Signed{Feed: m.feed, Msg: b.net.Payload(signed), Sig: sig})
}

// closing ends the signed text: the text without its last member.
const closing = "\n}"

// message returns a zero Message, the same one until it is taken from fresh.
func (b *batch) message() *Message {
	if len(b.fresh) == 0 {
		b.fresh = make([]Message, min(64, len(b.results)-len(b.messages)))
	}
	return &b.fresh[0]
}

// keep gives m its own copy of its stored form.
func (b *batch) keep(m *Message, compact []byte) {
	m.value = b.values.alloc(len(compact))
	copy(m.value, compact)
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
