package ebt

import (
	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/sync/vector"
)

// tell puts the note about feed i in the queue of p. What it says is decided
// when it is taken from the queue, by the state of that moment.
func (s *State) tell(i int, p *peer) {
	if l := p.linkAt(i); !l.has(flagNoting) {
		l.set(flagNoting, true)
		p.notes.push(i)
	}
}

// send puts the messages of feed i in the queue of p.
func (s *State) send(i int, p *peer) {
	if l := p.linkAt(i); !l.has(flagSending) && l.sent < s.feeds[i].mine {
		l.set(flagSending, true)
		p.sends.push(i)
	}
}

// Ready reports whether there may be something to send to a peer.
func (s *State) Ready(id refs.Feed) bool {
	p := s.byID[id]
	return p != nil && (p.hello || !p.notes.empty() || len(p.refuse) > 0 || !p.sends.empty())
}

// NextNotes returns the notes for the next frame to a peer, which the caller
// must send: at most MaxNotes of them. The first frame of a session may have
// none and is to be sent nevertheless; after it ok is false when there is
// nothing to tell.
func (s *State) NextNotes(id refs.Feed) (notes []FeedNote, ok bool) {
	p := s.byID[id]
	if p == nil {
		return nil, false
	}
	for !p.notes.empty() && len(notes) < s.config.MaxNotes {
		i := p.notes.pop()
		if note, news := s.noteFor(i, p); news {
			notes = append(notes, FeedNote{s.feeds[i].id, note})
		}
	}
	for len(p.refuse) > 0 && len(notes) < s.config.MaxNotes {
		feed := p.refuse[0]
		p.refuse = p.refuse[1:]
		if _, stranger := p.strangers[feed]; stranger {
			notes = append(notes, FeedNote{feed, declined})
		}
	}
	ok = p.hello || len(notes) > 0
	p.hello = false
	return notes, ok
}

// noteFor returns the note about feed i that is true now, and whether it
// says anything that p was not told yet.
func (s *State) noteFor(i int, p *peer) (note Note, news bool) {
	f, l := &s.feeds[i], p.linkAt(i)
	note = declined
	if s.shared(i, p) {
		note = Note{Seq: f.mine, Replicate: true, Receive: f.source == p}
	}
	news = !l.has(flagTold) || l.told != note || l.has(flagAgain)
	l.set(flagNoting|flagAgain, false)
	l.set(flagTold, true)
	l.told = note
	return note, news
}

// NextSend returns the next messages to send to a peer, at most limit of one
// feed, and false when there are none. The caller must send them all, in
// order, or Disconnect. Feeds take turns.
func (s *State) NextSend(id refs.Feed, limit int64) (vector.Span, bool) {
	p := s.byID[id]
	if p == nil || limit <= 0 {
		return vector.Span{}, false
	}
	for !p.sends.empty() {
		i := p.sends.pop()
		f, l := &s.feeds[i], p.linkAt(i)
		l.set(flagSending, false)
		if !l.has(flagTx) || !s.shared(i, p) || l.sent >= f.mine {
			continue
		}
		span := vector.Span{Feed: f.id, First: l.sent + 1, Last: min(l.sent+limit, f.mine)}
		l.sent = span.Last
		s.send(i, p)
		return span, true
	}
	return vector.Span{}, false
}
