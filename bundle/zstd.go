package bundle

import "io"

// IsZstd reports whether a file that begins with prefix (at least 4 bytes of
// it) is a Zstandard file, bundles among them.
func IsZstd(prefix []byte) bool { return false }

// IsBundle reports whether a file that begins with prefix (at least 24 bytes
// of it) is a bundle. A bundle whose first bytes are damaged is not noticed.
func IsBundle(prefix []byte) bool { return false }

// NewZstdReader decompresses src, a stream of Zstandard frames, with bounded
// memory. It does not limit how much comes out: whoever reads must.
func NewZstdReader(src io.Reader) (io.ReadCloser, error) { return nil, errUnbuilt }
