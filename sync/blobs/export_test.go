package blobs

import (
	"slices"

	"github.com/ssbsync/ssbsync/spec/refs"
)

// Note is a note in a frame.
type Note struct {
	ID     refs.Blob
	Number int64
}

// ParseFrame is parseFrame.
func ParseFrame(body []byte) (notes []Note, err error) {
	err = parseFrame(body, func(n note) error {
		notes = append(notes, Note{n.id, n.number})
		return nil
	})
	return notes, err
}

// AppendFrame is appendFrame.
func AppendFrame(notes []Note) []byte {
	list := make([]note, len(notes))
	for i, n := range notes {
		list[i] = note{n.ID, n.Number}
	}
	return appendFrame(nil, list)
}

// Remembered counts what is remembered of what a peer wants and has, and what
// is wanted for it.
func (e *Exchange) Remembered(remote refs.Feed) (wants, offers, sympathy int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if p := e.peers[remote]; p != nil {
		return len(p.wants), len(p.offers), len(p.sympathy)
	}
	return 0, 0, 0
}

// Peers counts the peers.
func (e *Exchange) Peers() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.peers)
}

// Backlog is how long the log of announcements is.
func (e *Exchange) Backlog() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.book.log)
}

// Announced reports whether a peer that comes now is told of a want.
func (e *Exchange) Announced(id refs.Blob) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	notes, _ := e.book.after(0, 0, maxNotes)
	return slices.ContainsFunc(notes, func(n note) bool { return n.id == id })
}
