package stick

import (
	"fmt"
	"slices"

	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/sync/ingest"
	"github.com/ssbsync/ssbsync/sync/vector"
)

// Bounds of the lists in a report. What lies beyond them is still counted.
const (
	maxLosses  = 1000
	maxSkipped = 100
	maxHints   = 100
)

// Report says what an import or an export did. The JSON keys are those of
// the command line.
type Report struct {
	Messages  int64   `json:"messages"`  // read or written
	New       int64   `json:"new"`       // stored by an import
	Duplicate int64   `json:"duplicate"` // read, and held already
	Rejected  int64   `json:"rejected"`  // bad input
	Waiting   int64   `json:"waiting"`   // valid, but messages before them are missing
	Feeds     int64   `json:"feeds"`     // of which messages were stored or written
	Blobs     int64   `json:"blobs"`     // taken or written
	Bytes     int64   `json:"bytes"`     // of the medium, read or written
	Seconds   float64 `json:"seconds"`
	Bundles   int64   `json:"bundles"` // read from or written

	Refused      int64 `json:"refused,omitempty"`      // messages of feeds that policy does not want
	RefusedFeeds int64 `json:"refusedFeeds,omitempty"` // and how many feeds those are
	Forked       int64 `json:"forked,omitempty"`       // messages of feeds that are forked
	Foreign      int64 `json:"foreign,omitempty"`      // bundles of other networks, where there were no others
	Left         int64 `json:"left,omitempty"`         // messages there was no room for
	BlobsLeft    int64 `json:"blobsLeft,omitempty"`    // blobs there was no room for
	Deferred     int64 `json:"deferred,omitempty"`     // messages that wait for space to spare: nobody who comes by lacks them
	Removed      int64 `json:"removed,omitempty"`      // bundles removed from the medium to make room
	Freed        int64 `json:"freed,omitempty"`        // their bytes
	Merged       int64 `json:"merged,omitempty"`       // small bundles replaced by one
	NoHave       bool  `json:"noHave,omitempty"`       // there was no room for our have: nobody learns there what we hold
	NoRoom       bool  `json:"noRoom,omitempty"`       // an import ended early: our own disk is full
	DryRun       bool  `json:"dryRun,omitempty"`
	Unverified   bool  `json:"unverified,omitempty"` // written, but the cache could not be dropped to compare

	Losses   []Loss          `json:"damaged,omitempty"`  // what could not be read
	Skipped  []Skip          `json:"skipped,omitempty"`  // files that are not what they should be
	Rejects  []ingest.Reject `json:"-"`                  // the first of the rejected messages
	Forks    []ingest.Fork   `json:"-"`                  // forks that were met
	Gaps     []vector.Span   `json:"-"`                  // what is missing before waiting messages
	Brought  []refs.Feed     `json:"-"`                  // feeds of which nothing was held before, or something is missing still; ascending
	Warnings []string        `json:"warnings,omitempty"` // for the user to look at
	Hints    []string        `json:"hints,omitempty"`    // what to type next
	Names    []string        `json:"files,omitempty"`    // bundles written
}

// Loss is a damaged piece of a bundle and what was in it.
type Loss struct {
	Bundle string        `json:"bundle"`
	Frame  int           `json:"frame"` // -1: the whole bundle
	Reason string        `json:"reason"`
	Spans  []vector.Span `json:"spans,omitempty"` // of the frame, as its range table says
}

// Skip is a file that was not read.
type Skip struct {
	Name   string `json:"name"`
	Reason string `json:"reason"`
}

// Partly reports whether something that was there could not be taken: it is
// named in Losses, Skipped, Rejects or Forks, or our own disk is full, or there
// was no room for our have.
func (r *Report) Partly() bool {
	return len(r.Losses) > 0 || len(r.Skipped) > 0 || r.Rejected > 0 || r.Forked > 0 || r.NoRoom || r.NoHave
}

// VisitReport says what a visit did.
type VisitReport struct {
	Stick  ID     `json:"stick"`
	Import Report `json:"import"`
	Export Report `json:"export"`

	// Have says that a have file was written: the visit had something new to
	// acknowledge or to ask for.
	Have bool `json:"have"`

	// ReadOnly says that the medium took no writes: what was imported is
	// safe, but nobody learns of it there.
	ReadOnly bool `json:"readOnly,omitempty"`
}

// Partly reports whether either half could not take or write everything.
func (r *VisitReport) Partly() bool { return r.Import.Partly() || r.Export.Partly() || r.ReadOnly }

// Phase names what a long operation is doing.
type Phase string

// The phases of a visit, in their order.
const (
	Scanning Phase = "scanning" // reading the layout and the haves
	Reading  Phase = "reading"  // importing bundles
	Checking Phase = "checking" // comparing frames with their hashes
	Packing  Phase = "packing"  // building a bundle
	Writing  Phase = "writing"  // bytes that reached the medium
)

// Progress is how far a phase is. Bytes count what the medium really took or
// gave; a total of 0 is unknown.
type Progress struct {
	Phase         Phase `json:"phase"`
	Bytes         int64 `json:"bytes"`
	TotalBytes    int64 `json:"totalBytes"`
	Messages      int64 `json:"messages"`
	TotalMessages int64 `json:"totalMessages"`
}

// lose notes a damaged piece of a bundle.
func (r *Report) lose(l Loss) {
	if len(r.Losses) < maxLosses {
		r.Losses = append(r.Losses, l)
	}
}

// skip notes a file that was not read.
func (r *Report) skip(skips ...Skip) {
	r.Skipped = append(r.Skipped, skips[:min(len(skips), maxSkipped-len(r.Skipped))]...)
}

// warn and hint add a line for the user, once.
func (r *Report) warn(format string, args ...any) { addLine(&r.Warnings, format, args) }
func (r *Report) hint(format string, args ...any) { addLine(&r.Hints, format, args) }

func addLine(lines *[]string, format string, args []any) {
	line := fmt.Sprintf(format, args...)
	if len(*lines) < maxHints && !slices.Contains(*lines, line) {
		*lines = append(*lines, line)
	}
}

// OutOfRoom notes that an import ended early because there was no room for more
// messages, and why.
func (r *Report) OutOfRoom(err error) {
	r.NoRoom = true
	r.warn("nothing more is taken: %v", err)
	r.hint("make room, then repeat the command: what was stored is kept")
}

// count adds what ingest made of the messages that were handed to it.
func (r *Report) count(s ingest.Summary) {
	r.Messages += s.Messages
	r.New += s.New
	r.Duplicate += s.Duplicate
	r.Rejected += s.Rejected
	r.Waiting += s.Waiting + s.Evicted
	r.Forked += s.Forked + s.Frozen
	r.Refused += s.Refused
	r.Rejects = append(r.Rejects, s.Rejects...)
	r.Forks = append(r.Forks, s.Forks...)
	r.Gaps = append(r.Gaps, s.Gaps...)
	for feed, d := range s.Feeds {
		if d.First && d.New > 0 || d.Waiting > 0 {
			r.Brought = append(r.Brought, feed)
		}
	}
	for _, gap := range s.Gaps {
		r.Brought = append(r.Brought, gap.Feed)
	}
	r.Brought = sorted(r.Brought, refs.Feed.Compare)
}
