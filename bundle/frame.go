package bundle

import (
	"errors"
	"fmt"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// maxWindow bounds the window of a frame: what RFC 8878 recommends that every
// decoder supports.
const maxWindow = 8 << 20

// checkZstd holds that b is exactly one Zstandard frame, with a checksum and
// without a dictionary, whose header says that it expands to raw bytes.
func checkZstd(b []byte, raw uint32) error {
	var h zstd.Header
	if err := h.Decode(b); err != nil {
		return fmt.Errorf("zstd frame header: %v", err)
	}
	switch {
	case h.Skippable:
		return errors.New("skippable where a zstd frame must be")
	case !h.HasFCS:
		return errors.New("zstd frame without content size")
	case h.FrameContentSize != uint64(raw):
		return fmt.Errorf("zstd frame of %d bytes where the manifest says %d", h.FrameContentSize, raw)
	case h.DictionaryID != 0:
		return fmt.Errorf("zstd frame needs dictionary %d", h.DictionaryID)
	case !h.HasCheckSum:
		return errors.New("zstd frame without checksum")
	case !h.SingleSegment && h.WindowSize > maxWindow:
		return fmt.Errorf("zstd window of %d bytes", h.WindowSize)
	}
	return checkBlocks(b[h.HeaderSize:])
}

// checkBlocks walks over the blocks of a Zstandard frame (RFC 8878, 3.1.1.2),
// after which nothing but the checksum may follow.
func checkBlocks(b []byte) error {
	const rle, reserved = 1, 3
	for last := false; !last; {
		if len(b) < 3 {
			return errors.New("zstd frame without last block")
		}
		h := uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16
		kind, size := h>>1&3, h>>3
		last = h&1 != 0
		switch kind {
		case rle:
			size = 1
		case reserved:
			return errors.New("zstd block of a reserved type")
		}
		if uint64(len(b)-3) < uint64(size) {
			return errors.New("zstd frame without last block")
		}
		b = b[3+size:]
	}
	if len(b) != 4 {
		return fmt.Errorf("%d bytes after the last zstd block, not 4", len(b))
	}
	return nil
}

// expander decompresses whole frames of known size. The zero value is ready;
// it is safe for concurrent use.
type expander struct {
	once sync.Once
	dec  *zstd.Decoder
	err  error
}

// expand returns the raw bytes that b, one Zstandard frame, expands to. It
// never allocates more than that.
func (e *expander) expand(b []byte, raw uint32) ([]byte, error) {
	if err := checkZstd(b, raw); err != nil {
		return nil, err
	}
	e.once.Do(func() {
		e.dec, e.err = zstd.NewReader(nil, zstd.WithDecodeAllCapLimit(true), zstd.WithDecoderConcurrency(0))
	})
	if e.err != nil {
		return nil, e.err
	}
	out, err := e.dec.DecodeAll(b, make([]byte, 0, raw))
	if err != nil {
		return nil, fmt.Errorf("zstd: %v", err)
	}
	if uint64(len(out)) != uint64(raw) {
		return nil, fmt.Errorf("zstd frame expands to %d bytes where the manifest says %d", len(out), raw)
	}
	return out, nil
}
