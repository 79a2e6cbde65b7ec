package bundle

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
)

// maxStreamWindow bounds the memory that a plain .zst file can ask for: what
// `zstd --long` writes by default.
const maxStreamWindow = 128 << 20

// IsZstd reports whether a file that begins with prefix (at least 4 bytes of
// it) is a Zstandard file, bundles among them.
func IsZstd(prefix []byte) bool {
	if len(prefix) < 4 {
		return false
	}
	magic := binary.LittleEndian.Uint32(prefix)
	return magic == zstdMagic || magic&^0xF == skipManifest
}

// IsBundle reports whether a file that begins with prefix (at least 24 bytes
// of it) is a bundle. A bundle whose first bytes are damaged is not noticed.
func IsBundle(prefix []byte) bool {
	return len(prefix) >= skipHeader+len(manifestMagic) &&
		binary.LittleEndian.Uint32(prefix) == skipManifest &&
		bytes.HasPrefix(prefix[skipHeader:], []byte(manifestMagic))
}

// NewZstdReader decompresses src, a stream of Zstandard frames, with memory
// for a window of at most 128 MiB and no goroutine. It does not limit how
// much comes out: whoever reads must.
func NewZstdReader(src io.Reader) (io.ReadCloser, error) {
	d, err := zstd.NewReader(src,
		zstd.WithDecoderConcurrency(1),
		zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxWindow(maxStreamWindow))
	if err != nil {
		return nil, fmt.Errorf("zstd: %w", err)
	}
	return d.IOReadCloser(), nil
}

// NewZstdWriter compresses to dst, as one Zstandard frame with a checksum that
// Close completes; Close leaves dst open. Its memory is a few windows of 4 MiB.
func NewZstdWriter(dst io.Writer) (io.WriteCloser, error) {
	e, err := zstd.NewWriter(dst,
		zstd.WithEncoderLevel(zstd.SpeedDefault),
		zstd.WithEncoderConcurrency(2),
		zstd.WithWindowSize(4<<20),
		zstd.WithEncoderCRC(true))
	if err != nil {
		return nil, fmt.Errorf("zstd: %w", err)
	}
	return e, nil
}

// Spool copies a bundle from a stream, such as standard input, to dst, which
// can then be opened. It stops with an error that wraps ErrInvalid when there
// is more than the limit.
func Spool(dst io.Writer, src io.Reader, l Limits) (int64, error) {
	limit := l.withDefaults().File
	n, err := io.Copy(dst, io.LimitReader(src, limit+1))
	switch {
	case err != nil:
		return n, err
	case n > limit:
		return n, invalidf("more than %d bytes", limit)
	}
	return n, nil
}
