package node

import (
	"context"
	"encoding/binary"
	"strings"

	"github.com/ssbsync/ssbsync/spec/ecmajson"
	"github.com/ssbsync/ssbsync/spec/envelope"
	"github.com/ssbsync/ssbsync/spec/privatebox"
	"github.com/ssbsync/ssbsync/store"
)

// find returns content and key of a private message that is for us, or nil.
func (p *privates) find(rec *store.Record) (content []byte, unbox string) {
	m, ok := boxedOf(rec)
	if !ok {
		return nil, ""
	}
	if p.done.Load() < rec.Rx && p.catchUpTo(context.Background(), rec.Rx) != nil {
		return nil, "" // a store that cannot be written to is noticed elsewhere
	}
	row, err := p.node.store.Table(tableOpened).Get(binary.BigEndian.AppendUint64(nil, rec.Rx))
	if err != nil {
		return nil, ""
	}
	return m.openRow(row)
}

// plain returns a record with its content in clear if it is for us, else the
// record itself.
func (p *privates) plain(rec *store.Record) *store.Record {
	content, _ := p.find(rec)
	if content == nil {
		return rec
	}
	open := *rec
	open.Value = replaceContent(rec.Value, content)
	return &open
}

// reveal returns a record whose value has its content in clear, as ssb-db hands
// it out, if it is for us, else the record itself.
func (p *privates) reveal(rec store.Record) store.Record {
	if content, unbox := p.find(&rec); content != nil {
		rec.Value = decorate(rec.Value, content, unbox)
	}
	return rec
}

// decorate replaces the content of a value and says what it was, as ssb-db
// does.
func decorate(value, content []byte, unbox string) []byte {
	was := ecmajson.Get(value, "content")
	value = replaceContent(value, content)
	value = append(value[:len(value)-1], `,"meta":{"original":{"content":`...)
	value = append(append(value, was...), `},"private":true,"unbox":"`...)
	value = append(append(value, unbox...), `"},"cyphertext":`...)
	value = append(append(value, was...), `,"private":true,"unbox":"`...)
	return append(append(value, unbox...), `"}`...)
}

// replaceContent returns a copy of a message's value with another content.
func replaceContent(value, content []byte) []byte {
	return replaceMember(value, "content", content)
}

// replaceMember returns a copy of an object in canonical JSON in which the
// member name, if there is one, has another value.
func replaceMember(text []byte, name string, replacement []byte) []byte {
	out := append(make([]byte, 0, len(text)+2*len(replacement)+256), '{')
	// Text that is canonical already: no error.
	_ = ecmajson.EachMember(text, func(key, value []byte) bool {
		if string(key[1:len(key)-1]) == name {
			value = replacement
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = append(append(append(out, key...), ':'), value...)
		return true
	})
	return append(out, '}')
}

// privately lets the query hand out contents in clear, if it asks for them.
func (n *Node) privately(q *query) {
	if q.Private {
		q.reveal = n.private.reveal
	}
}

// revealWith opens one message by a key that somebody gave away, in base64, or
// returns the record as it is. What follows a dot, as in "….boxs", says of which
// kind the key is and does not matter to ssb-keys either.
func revealWith(rec store.Record, key string) store.Record {
	key, _, _ = strings.Cut(key, ".")
	m, ok := boxedOf(&rec)
	if !ok {
		return rec
	}
	var content []byte
	if m.isEnvelope() {
		if k, err := envelope.ParseReadKey(key); err == nil {
			_, content = m.openEnvelope(k)
		}
	} else if k, err := privatebox.ParseKey(key); err == nil {
		_, content = m.openBox(k)
	}
	if content != nil {
		rec.Value = decorate(rec.Value, content, key)
	}
	return rec
}
