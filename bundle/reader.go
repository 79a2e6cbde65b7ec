package bundle

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"iter"
	"slices"

	"github.com/ssbsync/ssbsync/bundle/compact"
	"github.com/ssbsync/ssbsync/spec/refs"
)

// Reader reads a bundle whose manifest verified. It is safe for concurrent
// use.
type Reader struct {
	src      io.ReaderAt
	size     int64
	limits   Limits
	manifest *Manifest
	name     string
	offsets  []int64     // of each frame of the manifest
	ranges   *rangeTable // nil when it is damaged
	damage   []*FrameError
	expander expander
}

// Manifest returns the manifest, which must not be changed.
func (r *Reader) Manifest() *Manifest { return r.manifest }

// Name returns the name of the bundle, without Suffix.
func (r *Reader) Name() string { return r.name }

// Size returns the size of the file that was opened.
func (r *Reader) Size() int64 { return r.size }

// Damage returns what Open found damaged outside the message and blob frames,
// which it does not read.
func (r *Reader) Damage() []*FrameError { return r.damage }

// HasRanges reports whether the range table could be read. Without it Runs,
// Feeds and Blobs are empty, but frames can still be read.
func (r *Reader) HasRanges() bool { return r.ranges != nil }

// Feeds returns the feeds in the bundle, ascending. The slice must not be
// changed.
func (r *Reader) Feeds() []refs.Feed {
	if r.ranges == nil {
		return nil
	}
	return r.ranges.feeds
}

// MessageFrames returns the number of message frames.
func (r *Reader) MessageFrames() int { return len(r.manifest.Frames) - 1 - r.BlobFrames() }

// Runs returns what the exporter says is in message frame i, in the order of
// its lines: those of one feed stand together and ascend.
func (r *Reader) Runs(i int) []Run {
	if r.ranges == nil {
		return nil
	}
	runs := make([]Run, len(r.ranges.frames[i]))
	for k, f := range r.ranges.frames[i] {
		runs[k] = Run{r.ranges.feeds[f.feed], int64(f.first), int64(f.last), f.lastID}
	}
	return runs
}

// ReadFrame returns the lines of message frame i, each ending in a line feed;
// see Lines. Nothing is known of the lines but that the exporter wrote them.
// The contents of a frame in a codec that is not among Codecs are returned as
// they are; see Readable. The error is a *FrameError.
func (r *Reader) ReadFrame(i int) ([]byte, error) {
	frame := r.manifest.Frames[1+i]
	stored, e := r.readFrame(PartMessages, i, 1+i)
	if e != nil {
		return nil, e
	}
	raw, err := r.expander.expand(stored, frame.Raw)
	if err == nil && r.manifest.Codec == CodecCompact {
		raw, err = compact.Decode(raw, int(min(maxRaw(frame.Stored), compact.MaxLines)))
	}
	if err == nil && r.Readable() {
		err = checkLines(raw, r.lineCount(i))
	}
	if err != nil {
		return nil, r.untrue(PartMessages, i, 1+i, err)
	}
	return raw, nil
}

// Readable reports whether ReadFrame returns lines: whether the codec of the
// bundle is among Codecs.
func (r *Reader) Readable() bool { return slices.Contains(Codecs(), r.manifest.Codec) }

// lineCount returns the number of messages in frame i, or -1 when it is not
// known.
func (r *Reader) lineCount(i int) int {
	if r.ranges == nil {
		return -1
	}
	n := 0
	for _, run := range r.ranges.frames[i] {
		n += int(run.last-run.first) + 1
	}
	return n
}

// checkLines holds that raw is so many lines, none empty or longer than a
// message.
func checkLines(raw []byte, count int) error {
	n := 0
	for rest := raw; len(rest) > 0; n++ {
		end := bytes.IndexByte(rest, '\n')
		if end < 1 || end > MaxMessage {
			return fmt.Errorf("line %d is empty, too long or without end", n+1)
		}
		rest = rest[end+1:]
	}
	if count >= 0 && n != count {
		return fmt.Errorf("%d lines where the range table says %d", n, count)
	}
	return nil
}

// Lines iterates over the lines of a message frame, without line feeds. The
// lines are parts of frame.
func Lines(frame []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for len(frame) > 0 {
			line, rest, _ := bytes.Cut(frame, []byte{'\n'})
			if !yield(line) {
				return
			}
			frame = rest
		}
	}
}

// BlobFrames returns the number of blobs.
func (r *Reader) BlobFrames() int { return int(r.manifest.Blobs) }

// Blobs returns the ids of the blobs, small before large. The slice must not
// be changed.
func (r *Reader) Blobs() []refs.Blob {
	if r.ranges == nil {
		return nil
	}
	return r.ranges.blobs
}

// BlobSize returns the size of blob i before compression.
func (r *Reader) BlobSize(i int) int64 { return int64(r.blobFrame(i).Raw) }

func (r *Reader) blobFrame(i int) Frame { return r.manifest.Frames[r.blobIndex(i)] }

// blobIndex returns the number in the manifest of the frame of blob i.
func (r *Reader) blobIndex(i int) int { return 1 + r.MessageFrames() + i }

// ReadBlob returns blob i, whose bytes agree with the id. The error is a
// *FrameError.
func (r *Reader) ReadBlob(i int) (refs.Blob, []byte, error) {
	frame, at := r.blobFrame(i), r.blobIndex(i)
	if int64(frame.Raw) > r.limits.Blob {
		e := r.frameError(PartBlob, i, at, Oversized)
		e.Detail = fmt.Sprintf("%d bytes, more than %d", frame.Raw, r.limits.Blob)
		return refs.Blob{}, nil, e
	}
	stored, e := r.readFrame(PartBlob, i, at)
	if e != nil {
		return refs.Blob{}, nil, e
	}
	id, raw, err := r.blob(i, frame, stored)
	if err != nil {
		return refs.Blob{}, nil, r.untrue(PartBlob, i, at, err)
	}
	return id, raw, nil
}

func (r *Reader) blob(i int, frame Frame, stored []byte) (id refs.Blob, raw []byte, err error) {
	raw, err = skippable(stored, skipBlob)
	if err == nil && frame.Kind == KindBlob {
		raw, err = r.expander.expand(raw, frame.Raw)
	}
	if err != nil {
		return id, nil, err
	}
	id = sha256.Sum256(raw)
	if r.ranges != nil && r.ranges.blobs[i] != id {
		return id, nil, fmt.Errorf("the blob is %s where the range table says %s", id, r.ranges.blobs[i])
	}
	return id, raw, nil
}
