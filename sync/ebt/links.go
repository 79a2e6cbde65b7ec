package ebt

import "github.com/ssbsync/ssbsync/spec/refs"

// Link is what is known of one feed in one open session.
type Link struct {
	Peer      refs.Feed
	Seq       int64 // what the peer claims to hold; -1: it does not replicate the feed
	Sending   bool  // the peer asked us to send
	Receiving bool  // the peer is asked to send
	Sent      int64 // the peer has, or will have when all is delivered, 1 to Sent
	Asked     int64 // the sequence of the peer's last note; -1 if none came
}

// Links returns what is known of a feed in the open sessions, in the order in
// which they were opened; sessions in which the feed was not spoken of are left
// out.
func (s *State) Links(id refs.Feed) (links []Link) {
	i, known := s.index[id]
	for _, p := range s.peers {
		if !known {
			if seq, ok := p.strangers[id]; ok {
				links = append(links, Link{Peer: p.id, Seq: seq, Sent: -1, Asked: seq})
			}
			continue
		}
		l := p.link(i)
		if l.theirs == unknown && !l.has(flagTold) {
			continue
		}
		out := Link{Peer: p.id, Seq: max(l.theirs, -1), Sending: l.has(flagTx), Sent: l.sent, Asked: -1,
			Receiving: s.feeds[i].source == p && l.has(flagTold)}
		if l.has(flagHeard) {
			out.Asked = l.asked
		}
		links = append(links, out)
	}
	return links
}
