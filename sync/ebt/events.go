package ebt

import "github.com/ssbsync/ssbsync/spec/refs"

// Append says that this peer now holds messages 1 to seq of a feed, by
// whatever way they came. It is told of committed messages only, and of
// every feed once before the first Connect. A lower sequence than before is
// accepted: it means that the store lost messages.
func (s *State) Append(id refs.Feed, seq int64) {
	i := s.know(id)
	f := &s.feeds[i]
	if f.mine == seq {
		return
	}
	f.mine, f.progress, f.patience = seq, s.now, s.config.StallTicks
	if f.source != nil {
		f.source.active = s.now
	}
	for _, p := range s.peers {
		if p.speaks && s.shared(i, p) {
			s.offer(i, p)
		}
	}
	s.reconsider(i)
}

// offer sends p the new messages of feed i or tells that there are some.
func (s *State) offer(i int, p *peer) {
	f, l := &s.feeds[i], p.linkAt(i)
	switch {
	case l.has(flagTx):
		s.send(i, p)
	case l.theirs >= f.mine, l.has(flagTold) && !l.has(flagHeard):
		// They know, or will say themselves how far they are.
	case l.theirs == refused && l.has(flagHeard):
	default:
		if f.source == p {
			f.source = nil // it came from elsewhere
		}
		s.tell(i, p)
	}
}

// Want says whether a feed is to be replicated. The own feed always is.
func (s *State) Want(id refs.Feed, want bool) {
	i := s.know(id)
	f := &s.feeds[i]
	if f.wanted == want || id == s.self {
		return
	}
	f.wanted = want
	if !want {
		f.source = nil
	}
	for _, p := range s.peers {
		s.wish(i, p)
	}
}

// wish tells p that feed i is shared with it from now on, or no longer.
func (s *State) wish(i int, p *peer) {
	if !p.speaks {
		return
	}
	f, l := &s.feeds[i], p.linkAt(i)
	if theirs, ok := p.strangers[f.id]; ok && !l.has(flagHeard) {
		delete(p.strangers, f.id)
		l.theirs, l.told = theirs, declined
		l.set(flagHeard|flagTold, true)
	}
	switch {
	case l.theirs == refused && l.has(flagHeard):
		// They do not want to hear of it.
	case !s.shared(i, p):
		s.tell(i, p)
	case !l.has(flagTold) && f.knows(*l):
	case l.theirs != refused && s.mayAsk(i, p):
		s.ask(i, p)
	default:
		s.tell(i, p)
	}
	if l.has(flagTx) && s.shared(i, p) {
		s.send(i, p) // they asked before
	}
}

// Freeze says whether nothing more of a feed is accepted, because it is
// forked: what we hold of it is served, and nothing is asked for.
func (s *State) Freeze(id refs.Feed, frozen bool) {
	i := s.know(id)
	f := &s.feeds[i]
	f.frozen = frozen
	if before := f.source; frozen && before != nil {
		f.source = nil
		s.tell(i, before)
	} else if !frozen && before == nil {
		s.findSource(i, nil)
	}
}

// Block says whether one feed blocks another: nothing of by is spoken of
// with target. If this peer is by and has a session with target, Blocked
// says from then on that it must be closed.
func (s *State) Block(by, target refs.Feed, block bool) {
	if s.blocks[by][target] == block {
		return
	}
	if s.blocks[by] == nil {
		s.blocks[by] = make(map[refs.Feed]bool)
	}
	s.blocks[by][target] = block
	if !block {
		delete(s.blocks[by], target)
	}
	p, i := s.byID[target], s.know(by)
	if p == nil || by == s.self || !s.feeds[i].wanted {
		return
	}
	if block {
		s.release(i, p)
	}
	s.wish(i, p)
}

// Notes takes the notes that a peer sent.
func (s *State) Notes(id refs.Feed, notes []FeedNote) {
	p := s.byID[id]
	if p == nil {
		return
	}
	p.heard = true
	if !p.speaks {
		s.greet(p)
	}
	for _, n := range notes {
		if !n.valid() {
			continue
		}
		if i, ok := s.index[n.Feed]; ok {
			s.note(i, p, n.Note)
		} else {
			s.noteOfStranger(p, n)
		}
	}
}

// noteOfStranger refuses a feed that we neither hold nor want.
func (s *State) noteOfStranger(p *peer, n FeedNote) {
	_, again := p.strangers[n.Feed]
	if !again && (!n.Replicate || len(p.strangers) >= s.config.MaxStrangers) {
		return
	}
	p.strangers[n.Feed] = n.Seq
	if !again {
		p.refuse = append(p.refuse, n.Feed)
	}
}

// note takes one note about feed i.
func (s *State) note(i int, p *peer, n Note) {
	f, l := &s.feeds[i], p.linkAt(i)
	l.set(flagHeard, true)
	l.theirs = n.Seq
	switch {
	case !s.shared(i, p):
		// What they asked for is remembered: they may not ask again when it
		// is shared after all.
		l.asked, l.sent = n.Seq, max(n.Seq, 0)
		l.set(flagTx, n.Receive)
		if n.Replicate && !l.has(flagTold) {
			s.tell(i, p)
		}
		return
	case !n.Replicate:
		// They forget what we told, so that it must be told again later.
		l.set(flagTx|flagTold, false)
		s.release(i, p)
		return
	case n.Seq > f.mine && f.source != p && s.mayAsk(i, p):
		s.ask(i, p)
	case !l.has(flagTold):
		s.tell(i, p)
	}
	s.asked(i, p, n)
}

// asked does what a note about a shared feed asks for.
func (s *State) asked(i int, p *peer, n Note) {
	f, l := &s.feeds[i], p.linkAt(i)
	// Messages that we sent may still be on their way when a note was
	// written: it is no reason to send them again, unless the note says that
	// nothing came since the one before.
	if inFlight := n.Seq > l.asked && n.Seq <= l.sent; !inFlight {
		l.sent = n.Seq
	}
	l.asked = n.Seq
	l.set(flagTx, n.Receive)
	switch {
	case n.Seq >= f.mine:
	case n.Receive:
		s.send(i, p)
	default:
		s.tell(i, p)
	}
}

// Received says that a peer sent message seq of a feed, and returns whether
// it may be taken: false means that it was never asked for here.
func (s *State) Received(id, author refs.Feed, seq int64) bool {
	p := s.byID[id]
	i, ok := s.index[author]
	if p == nil || !ok || !s.shared(i, p) {
		return false
	}
	f, l := &s.feeds[i], p.linkAt(i)
	asked := f.source == p || l.has(flagTold) && l.told.Replicate
	if !asked || f.frozen || l.has(flagBarred) {
		return false
	}
	l.theirs = max(l.theirs, seq)
	l.sent = max(l.sent, seq)
	if seq > f.mine {
		l.set(flagBrought, true)
	} else if f.source == p {
		// It came by another way meanwhile: say how far we are.
		if l.theirs <= f.mine {
			f.source = nil
		}
		s.tell(i, p)
	}
	return true
}

// Refuse says that what a peer sent of a feed was no good: it is not asked
// for this feed again in this session.
func (s *State) Refuse(id, author refs.Feed) {
	p := s.byID[id]
	i, ok := s.index[author]
	if p == nil || !ok {
		return
	}
	p.linkAt(i).set(flagBarred, true)
	if s.feeds[i].source == p {
		s.release(i, p)
		s.tell(i, p)
	}
}
