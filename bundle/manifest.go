package bundle

import (
	"bytes"
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"strings"

	"github.com/ssbsync/ssbsync/spec/keys"
	"github.com/ssbsync/ssbsync/spec/refs"
)

// Suffix ends the file name of a bundle.
const Suffix = ".ssb.zst"

// nameLen is the number of base32 characters of a bundle's name: 130 bits.
const nameLen = 26

// Kind is the kind of a frame in a manifest.
type Kind uint8

// The kinds of frames, in the order in which they stand in a bundle.
const (
	KindRanges     Kind = 1 // the range table: skippable, zstd inside
	KindMessages   Kind = 2 // messages: an ordinary zstd frame
	KindBlob       Kind = 3 // a blob: skippable, zstd inside
	KindStoredBlob Kind = 4 // a blob: skippable, as it is
)

func (k Kind) isBlob() bool { return k == KindBlob || k == KindStoredBlob }

// Frame is what a manifest says of one frame.
//
//	size  field
//	1     kind
//	4     bytes in the file, with the header of a skippable frame
//	4     bytes of the contents before compression
//	32    SHA-256 of the bytes in the file
type Frame struct {
	Kind   Kind
	Stored uint32
	Raw    uint32
	Sum    [32]byte
}

const frameLen = 1 + 4 + 4 + 32

// Manifest is the signed table of contents of a bundle. Integers are little
// endian (spec/bundle.md, "Manifest").
//
//	offset  size  field
//	0       16    "ssbsync bundle", format version 1 as 16 bits
//	16      32    exporter
//	48      32    network id
//	80      16    codec, padded with zeros
//	96      4     number of messages
//	100     4     number of feeds
//	104     4     number of blobs
//	108     4     number of frames
//	112     41    each frame
type Manifest struct {
	Exporter refs.Feed
	Network  [32]byte
	Codec    string
	Messages uint32
	Feeds    uint32
	Blobs    uint32
	Frames   []Frame
}

const (
	manifestMagic  = "ssbsync bundle\x01\x00"
	manifestHead   = 112
	maxCodec       = 16
	signatureLen   = 64
	maxFrames      = (MaxManifest - manifestHead) / frameLen
	signingContext = "ssbsync bundle v1"
)

// Marshal returns the bytes that are signed, hashed and written. Only a
// manifest that Parse accepts has a meaningful form.
func (m *Manifest) Marshal() []byte {
	b := make([]byte, 0, manifestHead+frameLen*len(m.Frames))
	b = append(b, manifestMagic...)
	b = append(b, m.Exporter[:]...)
	b = append(b, m.Network[:]...)
	var codec [maxCodec]byte
	copy(codec[:], m.Codec)
	b = append(b, codec[:]...)
	for _, n := range []uint32{m.Messages, m.Feeds, m.Blobs, uint32(len(m.Frames))} {
		b = binary.LittleEndian.AppendUint32(b, n)
	}
	for _, f := range m.Frames {
		b = append(b, byte(f.Kind))
		b = binary.LittleEndian.AppendUint32(b, f.Stored)
		b = binary.LittleEndian.AppendUint32(b, f.Raw)
		b = append(b, f.Sum[:]...)
	}
	return b
}

// ParseManifest reads exactly what Marshal writes. Errors wrap ErrInvalid.
func ParseManifest(b []byte) (*Manifest, error) {
	if len(b) < manifestHead || len(b) > MaxManifest {
		return nil, invalidf("manifest of %d bytes", len(b))
	}
	if err := checkMagic(b); err != nil {
		return nil, err
	}
	codec, err := parseCodec(b[80:96])
	if err != nil {
		return nil, err
	}
	n := binary.LittleEndian.Uint32(b[108:])
	if uint64(len(b)-manifestHead) != uint64(n)*frameLen {
		return nil, invalidf("manifest of %d bytes counts %d frames", len(b), n)
	}
	m := &Manifest{
		Exporter: refs.Feed(b[16:48]),
		Network:  [32]byte(b[48:80]),
		Codec:    codec,
		Messages: binary.LittleEndian.Uint32(b[96:]),
		Feeds:    binary.LittleEndian.Uint32(b[100:]),
		Blobs:    binary.LittleEndian.Uint32(b[104:]),
		Frames:   parseFrames(b[manifestHead:]),
	}
	return m, m.check()
}

// checkMagic tells other files and other versions of the format from ours.
func checkMagic(b []byte) error {
	switch {
	case string(b[:14]) != manifestMagic[:14]:
		return invalidf("manifest begins with %q", b[:14])
	case string(b[14:16]) != manifestMagic[14:]:
		return invalidf("format version %d is not supported", binary.LittleEndian.Uint16(b[14:]))
	}
	return nil
}

func parseFrames(b []byte) []Frame {
	frames := make([]Frame, 0, len(b)/frameLen)
	for ; len(b) > 0; b = b[frameLen:] {
		frames = append(frames, Frame{
			Kind:   Kind(b[0]),
			Stored: binary.LittleEndian.Uint32(b[1:]),
			Raw:    binary.LittleEndian.Uint32(b[5:]),
			Sum:    [32]byte(b[9:frameLen]),
		})
	}
	return frames
}

// parseCodec reads a name of lower-case letters, digits and hyphens, padded
// with zeros.
func parseCodec(b []byte) (string, error) {
	name := bytes.TrimRight(b, "\x00")
	if !validCodec(string(name)) {
		return "", invalidf("codec %q", name)
	}
	return string(name), nil
}

func validCodec(name string) bool {
	return len(name) > 0 && len(name) <= maxCodec && !strings.ContainsFunc(name, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-'
	})
}

// check holds the rules on the frames and counts that need nothing but the
// manifest.
func (m *Manifest) check() error {
	var messages, blobs uint32
	var raw uint64
	for i, f := range m.Frames {
		if err := f.check(m.Codec); err != nil {
			return invalidf("frame %d: %v", i, err)
		}
		if (i == 0) != (f.Kind == KindRanges) || i > 0 && rank(f.Kind) < rank(m.Frames[i-1].Kind) {
			return invalidf("frame %d: kind %d out of order", i, f.Kind)
		}
		switch {
		case f.Kind == KindMessages:
			messages++
			raw += uint64(f.Raw)
		case f.Kind.isBlob():
			blobs++
		}
	}
	return m.checkCounts(messages, blobs, raw)
}

// rank orders kinds: range table, messages, blobs of either kind.
func rank(k Kind) Kind { return min(k, KindBlob) }

// checkCounts compares the manifest's counts with its frames: messageFrames
// of raw bytes together, and blobs.
func (m *Manifest) checkCounts(messageFrames, blobs uint32, raw uint64) error {
	switch {
	case len(m.Frames) < 2:
		return invalidf("nothing in it")
	case m.Blobs != blobs:
		return invalidf("%d blobs counted, %d blob frames", m.Blobs, blobs)
	case m.Messages < messageFrames || uint64(m.Messages) > raw/minLine:
		return invalidf("%d messages in %d frames of %d bytes", m.Messages, messageFrames, raw)
	case m.Feeds > m.Messages || (m.Feeds == 0) != (m.Messages == 0):
		return invalidf("%d feeds in %d messages", m.Feeds, m.Messages)
	case uint64(m.Frames[0].Raw) > m.maxRangeTable():
		return invalidf("range table of %d bytes", m.Frames[0].Raw)
	}
	return nil
}

// Sum returns the SHA-256 of the manifest, which identifies the bundle.
func (m *Manifest) Sum() [32]byte { return sha256.Sum256(m.Marshal()) }

// Name returns the file name of the bundle without Suffix: the first 26
// characters of the lower-case base32 SHA-256 of the manifest.
func (m *Manifest) Name() string {
	sum := m.Sum()
	return strings.ToLower(base32.StdEncoding.EncodeToString(sum[:]))[:nameLen]
}

// FileName returns Name with Suffix.
func (m *Manifest) FileName() string { return m.Name() + Suffix }

// signed returns what the exporter signs for a manifest.
func signed(manifest []byte) []byte {
	return append([]byte(signingContext), manifest...)
}

// verifyManifest parses a manifest followed by its signature, and checks the
// latter first.
func verifyManifest(b []byte) (*Manifest, error) {
	if len(b) < manifestHead+signatureLen {
		return nil, invalidf("not a manifest")
	}
	if err := checkMagic(b); err != nil {
		return nil, err
	}
	body, sig := b[:len(b)-signatureLen], [signatureLen]byte(b[len(b)-signatureLen:])
	exporter := refs.Feed(body[16:48])
	if !keys.Verify(exporter, signed(body), &sig) {
		return nil, invalidf("signature does not verify under exporter %s", exporter)
	}
	return ParseManifest(body)
}
