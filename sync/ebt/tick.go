package ebt

const (
	// maxPatience bounds how much longer than StallTicks a source is waited
	// for that stalls again and again, as a factor.
	maxPatience = 64
	// busyPatience is how much longer, as a factor, a feed is waited for
	// while its source brings other feeds.
	busyPatience = 10
	// reviewTicks is how long a source that brought messages before is
	// waited for when another peer has newer ones.
	reviewTicks = 2
)

// Tick says that time passed. It deals with sources that stall and with what
// needs to be told again. The driver leaves ticks out while it does not read
// from its peers, because their silence then is its own.
func (s *State) Tick() {
	s.now++
	for i := range s.feeds {
		s.checkStall(i)
	}
	for _, p := range s.peers {
		if p.speaks && s.now-p.since >= s.config.ResendTicks {
			p.since = s.now
			s.tellAgain(p)
		}
	}
}

// checkStall replaces the source of feed i, or asks it again, when it claims
// to be ahead and brought nothing for too long.
func (s *State) checkStall(i int) {
	f := &s.feeds[i]
	p := f.source
	if p == nil || p.link(i).theirs <= f.mine {
		if f.review != 0 && s.now >= f.review {
			f.review = 0
			s.findSource(i, p)
		}
		return
	}
	patience := f.patience
	if s.now-p.active < s.config.StallTicks {
		patience *= busyPatience
	}
	if s.now-f.progress < patience {
		return
	}
	f.progress = s.now
	f.patience = min(f.patience*2, s.config.StallTicks*maxPatience)
	if !s.findSource(i, p) {
		p.linkAt(i).set(flagAgain, true)
		s.tell(i, p)
	}
}

// tellAgain repeats the notes of the feeds in which p seems to be behind or
// ahead, and tells those that were skipped in this session.
func (s *State) tellAgain(p *peer) {
	for i := range s.feeds {
		l := p.linkAt(i)
		if !s.shared(i, p) || l.has(flagTold) && l.theirs == s.feeds[i].mine {
			continue
		}
		if l.theirs == refused && l.has(flagHeard) {
			continue
		}
		if s.feeds[i].source == nil && s.offers(i, p) {
			s.setSource(i, p)
		}
		l.set(flagAgain, true)
		s.tell(i, p)
	}
}
