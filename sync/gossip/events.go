package gossip

import (
	"sync"
	"time"

	"github.com/ssbsync/ssbsync/spec/refs"
)

// maxEvents is how many events are kept for those who follow them.
const maxEvents = 1024

// EventType says what happened, in the words of npm ssb-conn.
type EventType string

// The types of events.
const (
	Connecting       EventType = "connecting"
	ConnectingFailed EventType = "connecting-failed"
	Connected        EventType = "connected"
	Disconnected     EventType = "disconnected"
	Staged           EventType = "staged"  // a peer was discovered
	Added            EventType = "added"   // to the peer book
	Removed          EventType = "removed" // from the peer book
)

// Event is one change in the connections or the peer book.
type Event struct {
	Number  uint64 // counted from 1 since the start
	Type    EventType
	Address string // as dialled, or where the connection came from
	Feed    refs.Feed
	Inbound bool
	Reason  string // of failures and ends; empty for a plain goodbye
	Time    time.Time
}

// events keeps the last events.
type events struct {
	mu      sync.Mutex
	last    uint64
	ring    []Event // the newest is number last
	changed chan struct{}
}

func newEvents() *events { return &events{changed: make(chan struct{})} }

func (e *events) add(ev Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.last++
	ev.Number = e.last
	if e.ring = append(e.ring, ev); len(e.ring) == 2*maxEvents {
		e.ring = append([]Event(nil), e.ring[maxEvents:]...)
	}
	close(e.changed)
	e.changed = make(chan struct{})
}

// Events returns the events after the one with a number, oldest first. Who
// follows too slowly misses the oldest; the numbers show it.
func (g *Gossip) Events(after uint64) []Event {
	e := g.events
	e.mu.Lock()
	defer e.mu.Unlock()
	if after >= e.last {
		return nil
	}
	n := min(e.last-after, uint64(len(e.ring)))
	return append([]Event(nil), e.ring[uint64(len(e.ring))-n:]...)
}

// LastEvent returns the number of the newest event, 0 before the first.
func (g *Gossip) LastEvent() uint64 {
	g.events.mu.Lock()
	defer g.events.mu.Unlock()
	return g.events.last
}

// EventsChanged returns a channel that is closed as soon as there is an event
// after the one with a number, at once if there is already.
func (g *Gossip) EventsChanged(after uint64) <-chan struct{} {
	g.events.mu.Lock()
	defer g.events.mu.Unlock()
	if after >= g.events.last {
		return g.events.changed
	}
	ready := make(chan struct{})
	close(ready)
	return ready
}
