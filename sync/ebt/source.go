package ebt

// mayAsk reports whether p should become the source of feed i: there is no
// source yet, or it has nothing for us while p has. A source that brought
// messages before gets some time to bring these, too: they are most likely
// on their way, and would come twice.
func (s *State) mayAsk(i int, p *peer) bool {
	f := &s.feeds[i]
	if f.frozen || !p.speaks || p.link(i).has(flagBarred) {
		return false
	}
	if f.source == nil || f.source == p {
		return true
	}
	source := f.source.link(i)
	if source.theirs > f.mine || p.link(i).theirs <= source.theirs {
		return false
	}
	if source.has(flagBrought) {
		f.review = s.now + reviewTicks
		return false
	}
	return true
}

// reconsider looks for a better source of feed i when the present one has
// nothing more.
func (s *State) reconsider(i int) {
	f := &s.feeds[i]
	switch {
	case f.source != nil && f.source.link(i).theirs > f.mine:
	case f.source != nil && f.source.link(i).has(flagBrought):
		f.review = s.now + reviewTicks
	default:
		s.findSource(i, f.source)
	}
}

// setSource makes p, which may be nil, the source of feed i. The notes that
// say so are for the caller to tell.
func (s *State) setSource(i int, p *peer) {
	f := &s.feeds[i]
	f.source = p
	f.progress, f.review = s.now, 0
}

// ask makes p the source of feed i and tells it, and the source before it.
func (s *State) ask(i int, p *peer) {
	before := s.feeds[i].source
	s.setSource(i, p)
	if before != nil && before != p {
		s.tell(i, before)
	}
	s.tell(i, p)
}

// release takes feed i from its source p, and finds another if there is one.
func (s *State) release(i int, p *peer) {
	if s.feeds[i].source == p {
		s.feeds[i].source = nil
		s.findSource(i, p)
	}
}

// findSource asks a peer that claims to be ahead of us for feed i: the next
// one after the peer after, in the order in which they connected, so that
// several that stall are tried in turn. It reports whether there is one.
func (s *State) findSource(i int, after *peer) bool {
	start := 0
	for n, p := range s.peers {
		if p == after {
			start = n + 1
		}
	}
	for n := range s.peers {
		p := s.peers[(start+n)%len(s.peers)]
		if p != after && s.offers(i, p) {
			s.ask(i, p)
			return true
		}
	}
	return false
}

// offers reports whether p claims to be ahead of us in feed i and may be
// asked for it.
func (s *State) offers(i int, p *peer) bool {
	l := p.link(i)
	return p.speaks && l.theirs > s.feeds[i].mine && !l.has(flagBarred) &&
		!s.feeds[i].frozen && s.shared(i, p)
}
