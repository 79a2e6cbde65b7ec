package bundle

import (
	"errors"
	"io"

	"github.com/ssbsync/ssbsync/spec/keys"
	"github.com/ssbsync/ssbsync/spec/refs"
)

// WriterOptions tunes a Writer. The zero value holds the defaults.
type WriterOptions struct {
	Workers int // frames compressed at the same time, 0 = one per processor
	Limits  Limits
}

// Writer builds one bundle in memory and writes it in one pass. Equal input
// gives equal bytes. A Writer is not safe for concurrent use; it compresses
// on other goroutines, which end by themselves.
type Writer struct{}

// NewWriter returns a Writer for a bundle exported by signer.
func NewWriter(signer *keys.Pair, h Header, o WriterOptions) *Writer { return &Writer{} }

var errUnbuilt = errors.New("not built yet")

// Add adds a message. All messages of a feed must be added one after the
// other, sequences ascending; gaps are allowed. It returns ErrFull when a
// limit of the format is reached.
func (w *Writer) Add(r Record) error { return errUnbuilt }

// AddBlob adds a blob, at any time. It returns ErrFull when a limit of the
// format is reached.
func (w *Writer) AddBlob(id refs.Blob, data []byte) error { return errUnbuilt }

// Size returns an upper bound of the size of the finished file. It depends
// only on what was added, not on how far compression got.
func (w *Writer) Size() int64 { return 0 }

// Finish writes the bundle to dst and returns its manifest, whose FileName is
// the name it must get. A Writer is finished once.
func (w *Writer) Finish(dst io.Writer) (*Manifest, error) { return nil, errUnbuilt }
