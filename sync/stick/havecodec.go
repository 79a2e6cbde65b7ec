package stick

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/ssbsync/ssbsync/spec/keys"
	"github.com/ssbsync/ssbsync/spec/refs"
)

// The bytes of a have file (spec/stick.md, "Have file"). Numbers are uvarints
// in their shortest form, at most 2^53-1; lists are a count and the entries,
// strictly ascending.
//
//	16  magic "ssbsync have v1\n", of a delta "ssbsync have d1\n"
//	32  network    16 stick    32 identity    16 store
//	    counter    visit       base, and of a delta: 32 SHA-256 of the base
//	    reads      list of {length, characters}
//	    replaces   list of 16
//	 1  want all   0 or 1
//	    moved      only of a delta: list of {index less the one before and 1, number 2*gain+wanted}
//	    holdings   list of {32 feed, number 2*seq+wanted, 8 id prefix}
//	    feeds      list of 32
//	    blobs      list of 32
//	    damaged    list of {26 bundle name, list of frame numbers}
//	64  signature  Ed25519 of everything before it
//
// The magic is part of what is signed and separates it from anything else an
// identity signs.
const (
	haveMagic  = "ssbsync have v1\n"
	deltaMagic = "ssbsync have d1\n"
)

// maxSeq is the highest sequence in a have: twice as much is a number still.
const maxSeq = maxNumber >> 1

// Limits of the lists in a have.
const (
	maxReads    = 16
	maxReadLen  = 16
	maxReplaces = 64
	maxHoldings = 1 << 18
	maxWanted   = 1 << 16
	maxDamaged  = 4096
	maxFrames   = 1 << 17 // a manifest of 4 MiB has fewer

	signatureLen = 64
)

// encode returns the signed file. The lists of h must be ascending and within
// the limits (see clip).
func (h *Have) encode(pair *keys.Pair) []byte {
	b := h.body()
	sig := pair.Sign(b)
	return append(b, sig[:]...)
}

// body returns what is signed.
func (h *Have) body() []byte {
	b := make([]byte, 0, 512+48*len(h.Holdings)+32*len(h.Feeds)+signatureLen)
	b = append(b, h.magic()...)
	b = append(b, h.Network[:]...)
	b = append(b, h.Stick[:]...)
	b = append(b, h.Identity[:]...)
	b = append(b, h.Store[:]...)
	for _, n := range []uint64{h.Counter, h.Visit, h.Base} {
		b = binary.AppendUvarint(b, n)
	}
	if h.Base != 0 {
		b = append(b, h.BaseSum[:]...)
	}
	return h.appendLists(b)
}

func (h *Have) magic() string {
	if h.Base != 0 {
		return deltaMagic
	}
	return haveMagic
}

// appendLists appends everything between the head and the signature.
func (h *Have) appendLists(b []byte) []byte {
	b = appendList(b, h.Reads, func(b []byte, s string) []byte {
		return append(binary.AppendUvarint(b, uint64(len(s))), s...)
	})
	b = appendList(b, h.Replaces, func(b []byte, id ID) []byte { return append(b, id[:]...) })
	if h.WantAll {
		b = append(b, 1)
	} else {
		b = append(b, 0)
	}
	if h.Base != 0 {
		next := 0
		b = appendList(b, h.Moved, func(b []byte, m Move) []byte {
			b = binary.AppendUvarint(b, uint64(m.Index-next))
			next = m.Index + 1
			return binary.AppendUvarint(b, flagged(m.Gain, m.Wanted))
		})
	}
	b = appendList(b, h.Holdings, appendHolding)
	b = appendList(b, h.Feeds, func(b []byte, f refs.Feed) []byte { return append(b, f[:]...) })
	b = appendList(b, h.Blobs, func(b []byte, f refs.Blob) []byte { return append(b, f[:]...) })
	return appendList(b, h.Damaged, func(b []byte, d Damage) []byte {
		return appendList(append(b, d.Bundle...), d.Frames, func(b []byte, frame int) []byte {
			return binary.AppendUvarint(b, uint64(frame))
		})
	})
}

func appendHolding(b []byte, x Holding) []byte {
	b = append(b, x.Feed[:]...)
	b = binary.AppendUvarint(b, flagged(x.Seq, x.Wanted))
	return append(b, x.Prefix[:]...)
}

// flagged is a number with a flag in its lowest bit.
func flagged(n int64, flag bool) uint64 {
	if flag {
		return uint64(n)<<1 | 1
	}
	return uint64(n) << 1
}

// appendList appends a count and the entries.
func appendList[T any](b []byte, list []T, entry func([]byte, T) []byte) []byte {
	b = binary.AppendUvarint(b, uint64(len(list)))
	for _, x := range list {
		b = entry(b, x)
	}
	return b
}

// signedBy is where the identity stands in the file.
const signedBy = len(haveMagic) + 32 + 16

// parseHave reads what encode wrote, and nothing else. The signature is
// checked before anything is made of the content.
func parseHave(b []byte) (*Have, error) {
	if len(b) > MaxHaveSize {
		return nil, fmt.Errorf("longer than %d bytes", MaxHaveSize)
	}
	if len(b) < signedBy+len(refs.Feed{})+signatureLen {
		return nil, errTruncated
	}
	body, sig := b[:len(b)-signatureLen], [signatureLen]byte(b[len(b)-signatureLen:])
	if magic := string(body[:len(haveMagic)]); magic != haveMagic && magic != deltaMagic {
		return nil, errors.New("not a have file of this version")
	}
	identity := refs.Feed(body[signedBy : signedBy+32])
	if !keys.Verify(identity, body, &sig) {
		return nil, fmt.Errorf("not signed by %s, which it names", identity)
	}
	return parseBody(body)
}

// parseBody reads what body wrote, and nothing else.
func parseBody(b []byte) (*Have, error) {
	if len(b) < len(haveMagic) {
		return nil, errTruncated
	}
	h := &Have{}
	magic := string(b[:len(haveMagic)])
	d := &decoder{rest: b[len(haveMagic):]}
	d.copy(h.Network[:])
	d.copy(h.Stick[:])
	d.copy(h.Identity[:])
	d.copy(h.Store[:])
	if err := h.decode(d); err != nil {
		return nil, err
	}
	if magic != h.magic() {
		return nil, errors.New("not a have file of this version")
	}
	return h, nil
}

// decode reads what follows the store id.
func (h *Have) decode(d *decoder) error {
	h.Counter, h.Visit, h.Base = d.number(), d.number(), d.number()
	if h.Base != 0 {
		d.copy(h.BaseSum[:])
	}
	h.Reads = decodeList(d, "format", maxReads, 1, (*decoder).name, compareStrings)
	h.Replaces = decodeList(d, "replaced store", maxReplaces, 16, (*decoder).id, ID.compare)
	h.WantAll = d.bool()
	if h.Base != 0 {
		next := 0
		h.Moved = decodeList(d, "moved holding", maxHoldings, 2, func(d *decoder) Move { return d.move(&next) }, nil)
	}
	h.Holdings = decodeList(d, "holding", maxHoldings, 41, (*decoder).holding, compareHoldings)
	h.Feeds = decodeList(d, "wanted feed", maxWanted, 32, (*decoder).feed, refs.Feed.Compare)
	h.Blobs = decodeList(d, "wanted blob", maxWanted, 32, (*decoder).blob, refs.Blob.Compare)
	h.Damaged = decodeList(d, "damaged bundle", maxDamaged, bundleNameLen+1, (*decoder).damage, compareDamage)
	switch {
	case d.err != nil:
		return d.err
	case len(d.rest) != 0:
		return errors.New("trailing bytes")
	case h.Counter == 0 || h.Visit == 0 || h.Base >= h.Counter:
		return errors.New("counter, visit or base out of order")
	}
	return nil
}

// clip cuts the lists to what the format allows. What is cut off is asked for
// again by a later have.
func (h *Have) clip() {
	h.Replaces = h.Replaces[max(0, len(h.Replaces)-maxReplaces):]
	h.Holdings = h.Holdings[:min(len(h.Holdings), maxHoldings)]
	h.Feeds = h.Feeds[:min(len(h.Feeds), maxWanted)]
	h.Blobs = h.Blobs[:min(len(h.Blobs), maxWanted)]
	h.Damaged = h.Damaged[:min(len(h.Damaged), maxDamaged)]
}

func (d *decoder) name() string {
	n := d.number()
	if n == 0 || n > maxReadLen {
		d.fail(errors.New("format name empty or too long"))
		return ""
	}
	s := string(d.take(int(n)))
	if !madeOf(s, "abcdefghijklmnopqrstuvwxyz0123456789.-") {
		d.fail(fmt.Errorf("format name %q", s))
	}
	return s
}

func (d *decoder) id() (id ID)         { d.copy(id[:]); return id }
func (d *decoder) feed() (f refs.Feed) { d.copy(f[:]); return f }
func (d *decoder) blob() (b refs.Blob) { d.copy(b[:]); return b }
func (id ID) compare(o ID) int         { return compareBytes(id[:], o[:]) }
func compareHoldings(a, b Holding) int { return a.Feed.Compare(b.Feed) }
func compareDamage(a, b Damage) int    { return compareStrings(a.Bundle, b.Bundle) }
func (d *decoder) frame() int          { return int(d.atMost(maxFrames)) }
func (d *decoder) frames() []int {
	return decodeList(d, "frame", maxFrames, 1, (*decoder).frame, compareInts)
}

func (d *decoder) holding() (x Holding) {
	d.copy(x.Feed[:])
	n := d.number()
	x.Seq, x.Wanted = int64(n>>1), n&1 == 1
	d.copy(x.Prefix[:])
	if x.Seq < 1 || x.Seq > maxSeq {
		d.fail(fmt.Errorf("feed %s: sequence %d", x.Feed, x.Seq))
	}
	return x
}

// move reads a move; next is the lowest index it can have.
func (d *decoder) move(next *int) (m Move) {
	m.Index = *next + int(d.atMost(maxHoldings))
	*next = m.Index + 1
	n := d.number()
	m.Gain, m.Wanted = int64(n>>1), n&1 == 1
	return m
}

func (d *decoder) damage() Damage {
	name := string(d.take(bundleNameLen))
	if !isBundleName(name) {
		d.fail(fmt.Errorf("bundle name %q", name))
	}
	return Damage{name, d.frames()}
}
