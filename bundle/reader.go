package bundle

import (
	"context"
	"io"
	"iter"

	"github.com/ssbsync/ssbsync/spec/refs"
)

// Reader reads a bundle whose manifest verified. It is safe for concurrent
// use.
type Reader struct{}

// Open reads the manifest and the range table of the bundle in the first size
// bytes of r. Errors wrap ErrInvalid when the bytes are to blame, else the
// error of r. Damage that leaves frames readable is no error: see Damage.
func Open(r io.ReaderAt, size int64, l Limits) (*Reader, error) { return nil, errUnbuilt }

// Manifest returns the manifest, which must not be changed.
func (r *Reader) Manifest() *Manifest { return nil }

// Name returns the name of the bundle, without Suffix.
func (r *Reader) Name() string { return "" }

// Damage returns what Open found damaged.
func (r *Reader) Damage() []*FrameError { return nil }

// HasRanges reports whether the range table could be read. Without it Runs,
// Feeds and Blobs are empty, but frames can still be read.
func (r *Reader) HasRanges() bool { return false }

// Feeds returns the feeds in the bundle, ascending.
func (r *Reader) Feeds() []refs.Feed { return nil }

// MessageFrames returns the number of message frames.
func (r *Reader) MessageFrames() int { return 0 }

// Runs returns what the exporter says is in message frame i, in the order of
// its lines.
func (r *Reader) Runs(i int) []Run { return nil }

// ReadFrame returns the lines of message frame i, each ending in a line feed;
// see Lines. Nothing is known of the lines but that the exporter wrote them.
// The error is a *FrameError.
func (r *Reader) ReadFrame(i int) ([]byte, error) { return nil, errUnbuilt }

// Lines iterates over the lines of a message frame, without line feeds.
func Lines(frame []byte) iter.Seq[[]byte] { return func(func([]byte) bool) {} }

// BlobFrames returns the number of blobs.
func (r *Reader) BlobFrames() int { return 0 }

// Blobs returns the ids of the blobs, small before large.
func (r *Reader) Blobs() []refs.Blob { return nil }

// BlobSize returns the size of blob i before compression.
func (r *Reader) BlobSize(i int) int64 { return 0 }

// ReadBlob returns blob i, whose bytes agree with the id. The error is a
// *FrameError.
func (r *Reader) ReadBlob(i int) (refs.Blob, []byte, error) { return refs.Blob{}, nil, errUnbuilt }

// Info describes a bundle without opening its frames.
type Info struct {
	Name     string        `json:"name"`
	Exporter refs.Feed     `json:"exporter"`
	Network  string        `json:"network"` // base64
	Codec    string        `json:"codec"`
	Messages int           `json:"messages"`
	Feeds    int           `json:"feeds"`
	Blobs    int           `json:"blobs"`
	Frames   int           `json:"frames"` // message frames
	Bytes    int64         `json:"bytes"`  // of the file
	Raw      int64         `json:"raw"`    // of the messages before compression
	Ranges   []Run         `json:"ranges"` // of whole feeds, frame borders removed
	BlobIDs  []refs.Blob   `json:"blob_ids"`
	Damage   []*FrameError `json:"damage"`
}

// Inspect describes the bundle.
func (r *Reader) Inspect() Info { return Info{} }

// Report is the result of Verify.
type Report struct {
	Name     string        `json:"name"`
	Exporter refs.Feed     `json:"exporter"`
	Messages int           `json:"messages"` // read
	Blobs    int           `json:"blobs"`    // read
	Bytes    int64         `json:"bytes"`    // of the file, read or not
	Damage   []*FrameError `json:"damage"`
}

// Verify reads every frame and reports what is damaged. When visit is not
// nil it is given the lines of each message frame; its error ends Verify.
func (r *Reader) Verify(ctx context.Context, visit func(frame int, lines []byte) error) (Report, error) {
	return Report{}, errUnbuilt
}

// Spool copies a bundle from a stream, such as standard input, to dst, which
// can then be opened. It stops with an error that wraps ErrInvalid when there
// is more than the limit.
func Spool(dst io.Writer, src io.Reader, l Limits) (int64, error) { return 0, errUnbuilt }
