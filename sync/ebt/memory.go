package ebt

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/sync/vector"
)

// Memory is what is remembered of a peer from one session to the next, so
// that neither side repeats what the other knows. Losing it costs nothing
// but traffic. It must be dropped when the store behind it was replaced or
// restored.
type Memory struct {
	// Holds is how far the peer said it holds feeds.
	Holds vector.Clock
	// Refused are the feeds that the peer did not want, each with the
	// sequence that we had told when it said so: it is told again when there
	// is something new to tell.
	Refused vector.Clock
}

// memory collects what to remember of a peer.
func (s *State) memory(p *peer) Memory {
	var holds, refusals []vector.Entry
	for i := range p.links {
		l, id := &p.links[i], s.feeds[i].id
		switch {
		case l.theirs >= 0:
			holds = append(holds, vector.Entry{Feed: id, Seq: l.theirs})
		case l.theirs == refused && l.told.Seq >= 0:
			refusals = append(refusals, vector.Entry{Feed: id, Seq: l.told.Seq})
		}
	}
	return Memory{vector.FromEntries(holds), vector.FromEntries(refusals)}
}

// Remember returns what Disconnect would return, without closing the
// session.
func (s *State) Remember(id refs.Feed) Memory {
	if p := s.byID[id]; p != nil {
		return s.memory(p)
	}
	return Memory{}
}

// recall puts a memory into a new session. Feeds that we do not know are
// left out: they would be told when we come to know them anyway.
func (s *State) recall(p *peer, m Memory) {
	for id, seq := range m.Holds.All() {
		if i, ok := s.index[id]; ok {
			p.linkAt(i).theirs = seq
		}
	}
	for id, told := range m.Refused.All() {
		if i, ok := s.index[id]; ok {
			l := p.linkAt(i)
			l.theirs, l.told.Seq = refused, told
		}
	}
}

// AppendBinary appends the encoding of m to dst: the size of the encoding of
// Holds as a uvarint, Holds, Refused. It never fails.
func (m Memory) AppendBinary(dst []byte) ([]byte, error) {
	holds, _ := m.Holds.AppendBinary(nil)
	dst = binary.AppendUvarint(dst, uint64(len(holds)))
	dst = append(dst, holds...)
	return m.Refused.AppendBinary(dst)
}

// DecodeMemory reads what AppendBinary wrote, and nothing else: each part of
// at most maxFeeds feeds.
func DecodeMemory(b []byte, maxFeeds int) (Memory, error) {
	m, err := decodeMemory(b, maxFeeds)
	if err != nil {
		return Memory{}, fmt.Errorf("decoding memory of a peer: %v", err)
	}
	return m, nil
}

func decodeMemory(b []byte, maxFeeds int) (m Memory, err error) {
	size, n := binary.Uvarint(b)
	if n <= 0 || n > 1 && b[n-1] == 0 || size > uint64(len(b)-n) {
		return Memory{}, errors.New("bad size")
	}
	if m.Holds, err = vector.DecodeClock(b[n:n+int(size)], maxFeeds); err != nil {
		return Memory{}, err
	}
	m.Refused, err = vector.DecodeClock(b[n+int(size):], maxFeeds)
	return m, err
}
