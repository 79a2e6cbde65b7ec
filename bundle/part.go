package bundle

import (
	"crypto/sha256"
	"errors"
	"io"
)

// layOut computes where each frame begins.
func (r *Reader) layOut() {
	at := r.manifest.manifestSize()
	r.offsets = make([]int64, len(r.manifest.Frames))
	for i, f := range r.manifest.Frames {
		r.offsets[i] = at
		at += int64(f.Stored)
	}
}

// readPart returns the bytes of a part, checked for nothing.
func (r *Reader) readPart(p Part, index int, offset, size int64) ([]byte, *FrameError) {
	if offset+size > r.size {
		return nil, r.partError(p, index, offset, size, Truncated)
	}
	b, err := r.read(offset, size)
	if err == nil {
		return b, nil
	}
	e := r.partError(p, index, offset, size, Unreadable)
	e.Err, e.Detail = err, err.Error()
	if errors.Is(err, ErrInvalid) {
		e.Cause, e.Err = Truncated, io.ErrUnexpectedEOF
	}
	return nil, e
}

// readFrame returns the bytes of the frame with number i in the manifest,
// which is number index of its part, after comparing their hash.
func (r *Reader) readFrame(p Part, index, i int) ([]byte, *FrameError) {
	f := r.manifest.Frames[i]
	b, e := r.readPart(p, index, r.offsets[i], int64(f.Stored))
	if e != nil {
		return nil, e
	}
	if sha256.Sum256(b) != f.Sum {
		return nil, r.frameError(p, index, i, Damaged)
	}
	return b, nil
}

// frameError returns the error of the frame with number i in the manifest.
func (r *Reader) frameError(p Part, index, i int, c Cause) *FrameError {
	return r.partError(p, index, r.offsets[i], int64(r.manifest.Frames[i].Stored), c)
}

// untrue returns the error of a frame that is as the exporter signed it, but
// not what it should be.
func (r *Reader) untrue(p Part, index, i int, err error) *FrameError {
	e := r.frameError(p, index, i, Untrue)
	e.Detail = err.Error()
	return e
}

// partError returns an error that says what was in the part.
func (r *Reader) partError(p Part, index int, offset, size int64, c Cause) *FrameError {
	e := &FrameError{Part: p, Index: index, Offset: offset, Size: size, Cause: c}
	switch {
	case r.ranges == nil:
	case p == PartMessages:
		e.Runs = r.Runs(index)
	case p == PartBlob:
		id := r.ranges.blobs[index]
		e.Blob = &id
	}
	return e
}
