package bundle

import (
	"encoding/binary"
	"fmt"
)

// Magic numbers of frames, as Zstandard's format (RFC 8878, 3.1) and its
// seekable format define them. Skippable frames are told apart by the low
// four bits.
const (
	zstdMagic     = 0xFD2FB528
	skipManifest  = 0x184D2A50
	skipRanges    = 0x184D2A51
	skipBlob      = 0x184D2A52
	skipSeekTable = 0x184D2A5E
	seekableMagic = 0x8F92EAB1

	skipHeader = 8 // magic number and length, both 32 bits
	seekEntry  = 8
	seekFooter = 9

	// minLine is the shortest line of a message frame.
	minLine = 2

	// A frame expands to at most maxRatio times its size in the file, and
	// ratioSlack bytes. Messages do not come near it: 64 bytes of each are a
	// signature, which nothing compresses.
	maxRatio   = 512
	ratioSlack = 4096

	// freeRanges is what every range table may take before compression; one
	// that is larger than the whole file claims more than can be in it.
	freeRanges = 64 << 10
)

// appendSkippable appends a skippable frame of the given contents.
func appendSkippable(dst []byte, magic uint32, contents ...[]byte) []byte {
	n := 0
	for _, c := range contents {
		n += len(c)
	}
	dst = binary.LittleEndian.AppendUint32(dst, magic)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(n))
	for _, c := range contents {
		dst = append(dst, c...)
	}
	return dst
}

// skippable returns the contents of b, which must be one whole skippable
// frame with the given magic number.
func skippable(b []byte, magic uint32) ([]byte, error) {
	if len(b) < skipHeader || binary.LittleEndian.Uint32(b) != magic {
		return nil, fmt.Errorf("not a skippable frame %#x", magic)
	}
	if n := binary.LittleEndian.Uint32(b[4:]); uint64(n) != uint64(len(b)-skipHeader) {
		return nil, fmt.Errorf("skippable frame of %d bytes claims %d", len(b)-skipHeader, n)
	}
	return b[skipHeader:], nil
}

// manifestSize returns the bytes that the manifest of m takes as a frame.
func (m *Manifest) manifestSize() int64 { return manifestFrameSize(len(m.Frames)) }

func manifestFrameSize(frames int) int64 {
	return skipHeader + manifestHead + int64(frames)*frameLen + signatureLen
}

// seekTableSize returns the bytes of the seek table of a bundle with so many
// frames in its manifest, the two manifests not among them.
func seekTableSize(frames int) int64 {
	return skipHeader + seekEntry*int64(frames+2) + seekFooter
}

// offset returns where frame i begins in the file; frame len(m.Frames) is the
// copy of the manifest.
func (m *Manifest) offset(i int) int64 {
	at := m.manifestSize()
	for _, f := range m.Frames[:i] {
		at += int64(f.Stored)
	}
	return at
}

// FileSize returns the size of the whole bundle.
func (m *Manifest) FileSize() int64 {
	return m.offset(len(m.Frames)) + m.manifestSize() + seekTableSize(len(m.Frames))
}

// seekTable returns the last frame of the bundle: for every frame before it
// the bytes it takes and the bytes it expands to, none for skippable ones.
func (m *Manifest) seekTable() []byte {
	entries := make([]byte, 0, seekTableSize(len(m.Frames)))
	add := func(stored, raw uint32) {
		entries = binary.LittleEndian.AppendUint32(entries, stored)
		entries = binary.LittleEndian.AppendUint32(entries, raw)
	}
	add(uint32(m.manifestSize()), 0)
	for _, f := range m.Frames {
		if f.Kind == KindMessages {
			add(f.Stored, f.Raw)
		} else {
			add(f.Stored, 0)
		}
	}
	add(uint32(m.manifestSize()), 0)
	footer := binary.LittleEndian.AppendUint32(nil, uint32(len(m.Frames)+2))
	footer = append(footer, 0) // no checksums: the manifest has hashes
	footer = binary.LittleEndian.AppendUint32(footer, seekableMagic)
	return appendSkippable(nil, skipSeekTable, entries, footer)
}

// maxStored bounds what zstd makes of raw bytes that do not compress.
func maxStored(raw uint32) uint64 { return uint64(raw) + uint64(raw)/256 + 128 }

// maxRaw bounds what a zstd frame of so many bytes in the file may expand to.
func maxRaw(stored uint32) uint64 { return maxRatio*uint64(stored) + ratioSlack }

// maxRangeTable bounds the range table by the counts of the manifest and the
// size of the file.
func (m *Manifest) maxRangeTable() uint64 {
	n := rangesHead + feedLen*uint64(m.Feeds) + runLen*uint64(m.Messages) + blobLen*uint64(m.Blobs)
	return min(n+4*uint64(len(m.Frames)), max(freeRanges, uint64(m.FileSize())), MaxRangeTable)
}

// check holds the rules on one entry of the frame table.
func (f Frame) check(codec string) error {
	limit := uint32(maxBlob)
	switch f.Kind {
	case KindRanges:
		limit = MaxRangeTable
	case KindMessages:
		limit = maxFrame(codec)
	case KindBlob, KindStoredBlob:
	default:
		return fmt.Errorf("kind %d", f.Kind)
	}
	switch {
	case f.Raw > limit:
		return fmt.Errorf("%d bytes, more than %d", f.Raw, limit)
	case f.Kind == KindMessages && f.Raw < minLine:
		return fmt.Errorf("no message in it")
	case f.Kind == KindStoredBlob && uint64(f.Stored) != uint64(f.Raw)+skipHeader:
		return fmt.Errorf("stored blob of %d bytes takes %d", f.Raw, f.Stored)
	case f.Stored < skipHeader || uint64(f.Stored) > maxStored(f.Raw) || uint64(f.Raw) > maxRaw(f.Stored):
		return fmt.Errorf("%d bytes take %d", f.Raw, f.Stored)
	}
	return nil
}
