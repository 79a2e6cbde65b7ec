package ebt

import (
	"fmt"
	"slices"

	"github.com/ssbsync/ssbsync/spec/refs"
)

// peer is one open session.
type peer struct {
	id     refs.Feed
	speaks bool  // we may send; a client waits for the first notes
	heard  bool  // the other side sent notes
	hello  bool  // the first notes are due, even if there is nothing to say
	since  int64 // tick of the connection or of the last telling again
	active int64 // tick at which it last brought a new message

	links     []link // by the index of the feed; may be shorter than feeds
	strangers map[refs.Feed]int64
	refuse    []refs.Feed // strangers that are to be answered with a refusal
	notes     queue       // feeds with a note to tell
	sends     queue       // feeds with messages to send
}

// Values of link.theirs that are no sequence.
const (
	unknown = -2
	refused = -1
)

// link is what was said about one feed in one session.
type link struct {
	theirs int64 // what they claim to hold, or unknown, or refused
	asked  int64 // the sequence of their last note
	sent   int64 // they have, or will have when all is delivered, 1 to sent
	told   Note  // what we said last; meaningful with flagTold
	flags  flags
}

type flags uint8

const (
	flagTold    flags = 1 << iota // we told a note in this session
	flagHeard                     // they told a note in this session
	flagTx                        // they asked us to send
	flagAgain                     // the note is to be told even if it says nothing new
	flagBrought                   // they brought messages when they were asked
	flagBarred                    // what they send of this feed is no good
	flagNoting                    // in the queue of notes
	flagSending                   // in the queue of messages
)

func (l link) has(f flags) bool { return l.flags&f != 0 }

func (l *link) set(f flags, on bool) {
	if on {
		l.flags |= f
	} else {
		l.flags &^= f
	}
}

// link returns the link of feed i for reading.
func (p *peer) link(i int) link {
	if i < len(p.links) {
		return p.links[i]
	}
	return link{theirs: unknown}
}

// linkAt returns the link of feed i for writing.
func (p *peer) linkAt(i int) *link {
	for len(p.links) <= i {
		p.links = append(p.links, link{theirs: unknown})
	}
	return &p.links[i]
}

// queue is a first-in first-out list of feeds. The flag in the link keeps a
// feed from standing in it twice.
type queue struct{ feeds []int }

func (q *queue) empty() bool { return len(q.feeds) == 0 }
func (q *queue) push(i int)  { q.feeds = append(q.feeds, i) }

func (q *queue) pop() int {
	i := q.feeds[0]
	q.feeds = q.feeds[1:]
	return i
}

// Connect opens a session. The client is the side that opened the
// connection: as a client we wait for the first notes of the other side.
// The memory is what Disconnect returned for this peer, or the zero value.
//
// It fails with ErrConnected when the peer has a session already, and with
// ErrBlocked when we block the peer.
func (s *State) Connect(id refs.Feed, client bool, memory Memory) error {
	if s.byID[id] != nil {
		return fmt.Errorf("feed %q: %w", id, ErrConnected)
	}
	if s.blocks[s.self][id] {
		return fmt.Errorf("feed %q: %w", id, ErrBlocked)
	}
	p := &peer{id: id, since: s.now, active: s.now, strangers: make(map[refs.Feed]int64)}
	s.peers = append(s.peers, p)
	s.byID[id] = p
	s.recall(p, memory)
	if !client {
		s.greet(p)
	}
	return nil
}

// greet tells all that the other side does not know yet.
func (s *State) greet(p *peer) {
	p.speaks, p.hello = true, true
	for i := range s.feeds {
		f, l := &s.feeds[i], p.link(i)
		if !s.shared(i, p) || f.knows(l) {
			continue
		}
		if f.source == nil && !f.frozen && l.theirs != refused {
			s.setSource(i, p)
		}
		s.tell(i, p)
	}
}

// knows reports whether the other side knows from the last session what we
// could tell: it holds as much, or refused when just this had been told. A
// feed of which we hold nothing is told always, because we need it.
func (f *feed) knows(l link) bool {
	return l.theirs == f.mine && f.mine > 0 || l.theirs == refused && l.told.Seq == f.mine
}

// Disconnect closes a session and returns what to remember of the peer. Its
// feeds are asked of others that have more.
func (s *State) Disconnect(id refs.Feed) Memory {
	p := s.byID[id]
	if p == nil {
		return Memory{}
	}
	memory := s.memory(p)
	delete(s.byID, id)
	s.peers = slices.DeleteFunc(s.peers, func(q *peer) bool { return q == p })
	for i := range s.feeds {
		if s.feeds[i].source == p {
			s.feeds[i].source = nil
			s.findSource(i, nil)
		}
	}
	return memory
}

// Blocked reports whether the open session with a peer must be closed
// because we block it.
func (s *State) Blocked(id refs.Feed) bool { return s.byID[id] != nil && s.blocks[s.self][id] }

// Status describes an open session.
type Status struct {
	// Heard is false until the first notes of the other side came.
	Heard bool
	// Quiet is the number of ticks since the peer last brought something
	// new, or since it connected.
	Quiet int64
	// Receiving and Sending count the feeds asked of the peer in which it
	// claims to be ahead, and those in which we have messages for it.
	Receiving, Sending int
}

// Status returns the status of a session, and false if there is none.
func (s *State) Status(id refs.Feed) (Status, bool) {
	p := s.byID[id]
	if p == nil {
		return Status{}, false
	}
	status := Status{Heard: p.heard, Quiet: s.now - p.active}
	for i := range p.links {
		if s.feeds[i].source == p && p.links[i].theirs > s.feeds[i].mine {
			status.Receiving++
		}
		if p.links[i].has(flagSending) {
			status.Sending++
		}
	}
	return status, true
}
