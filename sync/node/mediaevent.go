package node

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"

	"github.com/ssbsync/ssbsync/sync/stick"
)

// MediaKind is what happened to a medium.
type MediaKind string

// The kinds of events, in the order in which a medium sees them.
const (
	MediaMounted   MediaKind = "mounted"   // it is there and has a marker
	MediaBlank     MediaKind = "blank"     // it could be made a stick: it has no marker
	MediaUnknown   MediaKind = "unknown"   // it is a stick that this node was never told about: nothing is done with it
	MediaAsking    MediaKind = "asking"    // the same, and ssbsync.stick.answer may say what to do
	MediaVisiting  MediaKind = "visiting"  // a visit begins
	MediaProgress  MediaKind = "progress"  // a visit is under way; at most twice a second
	MediaDone      MediaKind = "done"      // a visit ended, or the medium cannot be read
	MediaUnmounted MediaKind = "unmounted" // it is gone
)

// MediaResult is how a visit ended.
type MediaResult string

// The results of a visit.
const (
	ResultDone        MediaResult = "done"
	ResultPartly      MediaResult = "partly" // what was good is stored, what was not is named in the report
	ResultFailed      MediaResult = "failed"
	ResultInterrupted MediaResult = "interrupted" // this program was told to end
	ResultRemoved     MediaResult = "removed"     // the medium went during the visit
)

// MediaEvent tells of one medium: a stick, or a plain folder that is watched.
// It is what ssbsync.stick.events sends.
type MediaEvent struct {
	Kind MediaKind `json:"kind"`
	Time int64     `json:"time"` // milliseconds since 1970, for showing only

	// Path is where the medium is mounted, or the folder. It may hold any
	// character that a file system allows: quote it before showing it.
	Path   string `json:"path"`
	Device string `json:"device,omitempty"`
	// Label is what to call it: the label of the marker, else that of the
	// file system, else the last element of the path; printable text.
	Label     string   `json:"label"`
	Stick     stick.ID `json:"stick,omitzero"` // zero without a marker
	Folder    bool     `json:"folder,omitempty"`
	Removable bool     `json:"removable,omitempty"`
	ReadOnly  bool     `json:"readOnly,omitempty"`

	Progress *stick.Progress `json:"progress,omitempty"`

	// Of a visit that ended. Whatever ended it, what is counted here stays.
	Result  MediaResult        `json:"result,omitempty"`
	In      int64              `json:"in"`                // messages that our store gained
	Out     int64              `json:"out"`               // messages written to the medium
	Wait    float64            `json:"wait,omitempty"`    // seconds from the news to the beginning of the visit; also of visiting
	Seconds float64            `json:"seconds,omitempty"` // of the visit, until the medium was safe to remove
	Safe    bool               `json:"safe,omitempty"`    // all that was written is on the medium, and nothing of it is open: safe to remove
	Error   string             `json:"error,omitempty"`   // why it failed
	Report  *stick.VisitReport `json:"report,omitempty"`
}

// maxMediaEvents is how many events whoever follows them may be behind.
const maxMediaEvents = 1024

// mediaLog keeps the newest events for those who follow them, each at its own
// pace: nobody holds up a visit.
type mediaLog struct {
	mu      sync.Mutex // guards what follows
	entries []mediaEntry
	newest  uint64
	last    map[string]mediaEntry // of each medium that is there, by path, progress apart
	changed chan struct{}         // closed when an entry is added
}

// mediaEntry is an event and its number, which grows.
type mediaEntry struct {
	number uint64
	event  MediaEvent
}

func newMediaLog() *mediaLog {
	return &mediaLog{last: make(map[string]mediaEntry), changed: make(chan struct{})}
}

// add appends an event. Progress takes the place of progress. Gone says that the
// medium is not there any more.
func (l *mediaLog) add(e MediaEvent, gone bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.newest++
	entry := mediaEntry{l.newest, e}
	switch at := len(l.entries) - 1; {
	case e.Kind == MediaUnmounted:
		delete(l.last, e.Path)
	case e.Kind != MediaProgress && !gone:
		l.last[e.Path] = entry
	case at >= 0 && e.Kind == MediaProgress && l.entries[at].event.Kind == MediaProgress:
		l.entries = l.entries[:at]
	}
	if len(l.entries) == maxMediaEvents {
		l.entries = slices.Delete(l.entries, 0, 1)
	}
	l.entries = append(l.entries, entry)
	close(l.changed)
	l.changed = make(chan struct{})
}

// present returns the last event of each medium that is there, in the order in
// which they happened, and the number of the newest event of all.
func (l *mediaLog) present() ([]MediaEvent, uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	entries := slices.SortedFunc(maps.Values(l.last), func(a, b mediaEntry) int { return cmp.Compare(a.number, b.number) })
	events := make([]MediaEvent, len(entries))
	for i, entry := range entries {
		events[i] = entry.event
	}
	return events, l.newest
}

// after returns the events behind that number, the newest number, and what is
// closed when there are more.
func (l *mediaLog) after(number uint64) ([]MediaEvent, uint64, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var events []MediaEvent
	for _, entry := range l.entries {
		if entry.number > number {
			events = append(events, entry.event)
		}
	}
	return events, l.newest, l.changed
}

// follow hands over the events behind that number until ctx ends, those that
// happened before its end included, or until handle fails.
func (l *mediaLog) follow(ctx context.Context, number uint64, handle func(MediaEvent) error) error {
	for {
		ending := ctx.Err() != nil // before looking: what came before the end counts
		events, newest, changed := l.after(number)
		for _, e := range events {
			if err := handle(e); err != nil {
				return err
			}
		}
		if ending {
			return nil
		}
		number = newest
		select {
		case <-ctx.Done():
		case <-changed:
		}
	}
}
