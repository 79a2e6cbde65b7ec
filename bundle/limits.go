package bundle

// Bounds of the format, checked before anything is allocated
// (spec/bundle.md, "Limits").
const (
	// MaxManifest bounds the bytes of a manifest without its signature.
	MaxManifest = 4 << 20
	// MaxRangeTable bounds the bytes of a range table before compression.
	MaxRangeTable = 32 << 20
	// MaxFrame bounds the bytes of a message frame in CodecJSONL before
	// compression.
	MaxFrame = 1 << 20
	// MaxCodedFrame bounds the bytes of a message frame in any other codec
	// before compression.
	MaxCodedFrame = 8 << 20
	// MaxMessage bounds the bytes of one message, without its line feed:
	// 8192 UTF-16 units are at most three bytes each in UTF-8.
	MaxMessage = 3 * 8192
	// MaxSeq is the highest sequence number.
	MaxSeq = 1<<31 - 1

	// DefaultMaxFile is the default bound of a bundle's size.
	DefaultMaxFile = 256 << 20
	// DefaultMaxBlob is the default bound of a blob's size.
	DefaultMaxBlob = 5 << 20

	// maxBlob bounds a blob whatever the limits are.
	maxBlob = 1<<31 - 1

	// TargetSize is the size at which an exporter should close a bundle and
	// begin another.
	TargetSize = 64 << 20
)

// maxFrame bounds a message frame before compression.
func maxFrame(codec string) uint32 {
	if codec == CodecJSONL {
		return MaxFrame
	}
	return MaxCodedFrame
}

// Limits bounds what a reader takes. The zero value holds the defaults.
type Limits struct {
	File int64 // bytes of the file, 0 = DefaultMaxFile
	Blob int64 // bytes of one blob before compression, 0 = DefaultMaxBlob
}

func (l Limits) withDefaults() Limits {
	if l.File <= 0 {
		l.File = DefaultMaxFile
	}
	if l.Blob <= 0 {
		l.Blob = DefaultMaxBlob
	}
	l.Blob = min(l.Blob, maxBlob)
	return l
}
