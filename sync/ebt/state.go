package ebt

import (
	"errors"

	"github.com/ssbsync/ssbsync/spec/refs"
)

// Config holds the numbers that govern a State. Fields that are 0 get the
// default. Ticks are calls of [State.Tick]; the defaults are meant for one
// tick a second.
type Config struct {
	// StallTicks is after how many ticks without a new message a source that
	// claims to have more is given up or asked again. Default 5.
	StallTicks int64
	// ResendTicks is after how many ticks of a session the clock is told
	// again where that could help. Default 600.
	ResendTicks int64
	// MaxNotes bounds the feeds in one frame of notes. Default 1,000.
	MaxNotes int
	// MaxStrangers bounds, per session, the feeds that we neither hold nor
	// want and still remember the other side's note of. Default 50,000.
	MaxStrangers int
}

func (c Config) withDefaults() Config {
	orDefault(&c.StallTicks, 5)
	orDefault(&c.ResendTicks, 600)
	orDefault(&c.MaxNotes, 1000)
	orDefault(&c.MaxStrangers, 50_000)
	return c
}

func orDefault[T int | int64](value *T, fallback T) {
	if *value <= 0 {
		*value = fallback
	}
}

// Errors of Connect.
var (
	ErrConnected = errors.New("peer has a session already")
	ErrBlocked   = errors.New("peer is blocked")
)

// State is the replication state of this peer in all its sessions. It is not
// safe for concurrent use: one goroutine owns it, or a lock guards it.
type State struct {
	self   refs.Feed
	config Config
	now    int64 // ticks

	feeds  []feed // every feed we held or wanted since the start
	index  map[refs.Feed]int
	peers  []*peer // in the order in which they connected
	byID   map[refs.Feed]*peer
	blocks map[refs.Feed]map[refs.Feed]bool // who blocks whom
}

// feed is what we know of a feed apart from any session.
type feed struct {
	id       refs.Feed
	mine     int64 // we hold messages 1 to mine
	wanted   bool
	frozen   bool  // nothing more is accepted of it
	source   *peer // the one peer that is asked to send it; may be nil
	review   int64 // tick at which to see whether another source is better; or 0
	progress int64 // tick of the last new message, or of the last asking
	patience int64 // ticks without progress after which the source stalls
}

// New returns the state of a peer without feeds and sessions. Its own feed
// is wanted, and stays so.
func New(self refs.Feed, config Config) *State {
	s := &State{
		self:   self,
		config: config.withDefaults(),
		index:  make(map[refs.Feed]int),
		byID:   make(map[refs.Feed]*peer),
		blocks: make(map[refs.Feed]map[refs.Feed]bool),
	}
	s.feeds[s.know(self)].wanted = true
	return s
}

// know returns the index of a feed, and takes it up if it is new.
func (s *State) know(id refs.Feed) int {
	i, ok := s.index[id]
	if !ok {
		i = len(s.feeds)
		s.index[id] = i
		s.feeds = append(s.feeds, feed{id: id, patience: s.config.StallTicks})
	}
	return i
}

// Held returns how far this peer holds a feed, as Append was told.
func (s *State) Held(id refs.Feed) int64 {
	if i, ok := s.index[id]; ok {
		return s.feeds[i].mine
	}
	return 0
}

// Claimed returns the highest sequence of a feed that the peers of open
// sessions say they hold. A claim is no proof.
func (s *State) Claimed(id refs.Feed) int64 {
	var highest int64
	i, known := s.index[id]
	for _, p := range s.peers {
		if known {
			highest = max(highest, p.link(i).theirs)
		} else {
			highest = max(highest, p.strangers[id])
		}
	}
	return highest
}

// shared reports whether feed i is to be spoken of with p.
func (s *State) shared(i int, p *peer) bool {
	f := &s.feeds[i]
	return f.wanted && f.mine <= MaxNoteSeq && !s.blocks[f.id][p.id]
}
