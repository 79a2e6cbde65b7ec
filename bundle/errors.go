package bundle

import (
	"errors"
	"fmt"

	"github.com/ssbsync/ssbsync/spec/refs"
)

// ErrInvalid is wrapped by every error of Open that blames the bytes: not a
// bundle, a signature that does not verify, a manifest or range table that
// breaks the format, more than the limits allow. Errors of Open without it
// come from reading.
var ErrInvalid = errors.New("invalid bundle")

// ErrFull is returned by Writer.Add and Writer.AddBlob when the bundle would
// break a limit of the format. Nothing was added; the bundle can be finished.
var ErrFull = errors.New("bundle is full")

func invalidf(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrInvalid, fmt.Sprintf(format, args...))
}

// Part names a part of a bundle.
type Part string

// The parts of a bundle.
const (
	PartManifest  Part = "manifest"
	PartRanges    Part = "range table"
	PartMessages  Part = "message frame"
	PartBlob      Part = "blob frame"
	PartCopy      Part = "manifest copy"
	PartSeekTable Part = "seek table"
)

// Cause says what is wrong with a part of a bundle.
type Cause string

// Causes of a FrameError.
const (
	// Damaged: the bytes are not those that the exporter signed.
	Damaged Cause = "damaged"
	// Truncated: the file ends before the end of the part.
	Truncated Cause = "truncated"
	// Unreadable: reading failed; Err says how.
	Unreadable Cause = "unreadable"
	// Untrue: the bytes are those that the exporter signed, but they are not
	// what its manifest or range table says. The medium is not to blame.
	Untrue Cause = "untrue"
	// Oversized: a blob is larger than this reader's limit.
	Oversized Cause = "oversized"
)

// FrameError says that one part of a bundle is lost and what was in it. The
// other parts can still be read.
type FrameError struct {
	Part   Part       `json:"part"`
	Index  int        `json:"index"`  // number of the frame among those of its part, from 0
	Offset int64      `json:"offset"` // of the part in the file
	Size   int64      `json:"size"`   // of the part in the file
	Cause  Cause      `json:"cause"`
	Detail string     `json:"detail,omitempty"`
	Runs   []Run      `json:"runs,omitempty"` // what a message frame held, if known
	Blob   *refs.Blob `json:"blob,omitempty"` // what a blob frame held, if known
	Err    error      `json:"-"`              // the read error of an unreadable part
}

// Error names the part, the cause and, for messages, the number lost.
func (e *FrameError) Error() string {
	s := e.Brief()
	switch {
	case len(e.Runs) > 0:
		s += fmt.Sprintf(" (%d messages lost: %s)", e.messages(), e.where())
	case e.Blob != nil:
		s += fmt.Sprintf(" (blob %s lost)", e.Blob)
	}
	return s
}

// Brief names the part and the cause, and leaves out what was lost.
func (e *FrameError) Brief() string {
	s := fmt.Sprintf("%s at byte %d is %s", e.name(), e.Offset, e.Cause)
	if e.Detail != "" {
		s += ": " + e.Detail
	}
	return s
}

// Unwrap returns the read error of an unreadable part.
func (e *FrameError) Unwrap() error { return e.Err }

func (e *FrameError) name() string {
	if e.Part == PartMessages || e.Part == PartBlob {
		return fmt.Sprintf("%s %d", e.Part, e.Index)
	}
	return string(e.Part)
}

func (e *FrameError) messages() (n int) {
	for _, r := range e.Runs {
		n += r.Len()
	}
	return n
}

// feeds counts the feeds of a frame; the runs of one feed stand together.
func (e *FrameError) feeds() (n int) {
	for i, r := range e.Runs {
		if i == 0 || r.Feed != e.Runs[i-1].Feed {
			n++
		}
	}
	return n
}

func (e *FrameError) where() string {
	first, last := e.Runs[0], e.Runs[len(e.Runs)-1]
	if e.feeds() == 1 {
		return fmt.Sprintf("feed %s from %d to %d", first.Feed, first.First, last.Last)
	}
	return fmt.Sprintf("%d feeds from %s at %d to %s at %d", e.feeds(), first.Feed, first.First, last.Feed, last.Last)
}
