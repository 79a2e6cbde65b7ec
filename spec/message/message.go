// Package message holds classic SSB messages: their canonical form, what makes
// one valid, how one is created, and the rule that chains them into a feed.
package message

import (
	"github.com/ssbsync/ssbsync/spec/refs"
)

// Message is one valid message. Only Verify, VerifyBatch and Create make one,
// so whoever holds a Message need not check it again. The zero value is no
// message; see Valid.
type Message struct {
	feed      refs.Feed
	seq       int64
	id        refs.Message
	previous  refs.Message
	timestamp float64
	value     []byte
	content   [2]int
}

// Valid reports whether m was made by Verify or Create.
func (m *Message) Valid() bool { return m != nil && m.seq > 0 }

// Feed returns the author.
func (m *Message) Feed() refs.Feed { return m.feed }

// Seq returns the sequence, counted from 1.
func (m *Message) Seq() int64 { return m.seq }

// ID returns the message's id.
func (m *Message) ID() refs.Message { return m.id }

// Previous returns the id of the message before, zero for the first.
func (m *Message) Previous() refs.Message { return m.previous }

// Timestamp returns the author's claim of the time, in milliseconds since
// 1970, NaN when the field holds no number.
func (m *Message) Timestamp() float64 { return m.timestamp }

// Value returns the stored form: compact ECMAScript JSON. It must not be
// changed.
func (m *Message) Value() []byte { return m.value }

// Content returns the content part of Value. It must not be changed.
func (m *Message) Content() []byte { return m.value[m.content[0]:m.content[1]] }
