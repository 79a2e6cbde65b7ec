package node

import (
	"bytes"
	"encoding/json"
	"strings"

	"github.com/ssbsync/ssbsync/spec/envelope"
	"github.com/ssbsync/ssbsync/spec/message"
	"github.com/ssbsync/ssbsync/spec/privatebox"
	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/store"
)

// boxed is a private message.
type boxed struct {
	author   refs.Feed
	previous refs.Message
	text     string
}

// boxedOf returns the private message that a record is, if it is one.
func boxedOf(rec *store.Record) (boxed, bool) {
	view, err := message.Fields(rec.Value)
	if err != nil || len(view.Content) == 0 || view.Content[0] != '"' {
		return boxed{}, false
	}
	return boxedText(view)
}

func boxedText(view message.View) (boxed, bool) {
	m := boxed{author: view.Feed, previous: view.Previous}
	if c := view.Content; len(c) >= 2 && c[0] == '"' && bytes.IndexByte(c, '\\') < 0 {
		m.text = string(c[1 : len(c)-1]) // what is spelt without escapes stands there as it is
	} else if json.Unmarshal(c, &m.text) != nil {
		return m, false
	}
	return m, m.isEnvelope() || strings.HasSuffix(m.text, privatebox.Suffix)
}

func (m boxed) isEnvelope() bool { return strings.HasSuffix(m.text, envelope.Suffix) }

func (m boxed) place() envelope.Place { return envelope.At(m.author, m.previous) }

func (m boxed) openBox(key privatebox.Key) (row, content []byte) {
	content, ok := privatebox.Open(m.text, key)
	if !ok || content[0] != '{' {
		return nil, nil
	}
	return append([]byte{schemeBox}, key[:]...), content
}

func (m boxed) openEnvelope(key envelope.ReadKey) (row, content []byte) {
	content, ok := m.place().Open(m.text, key)
	if !ok || content[0] != '{' {
		return nil, nil
	}
	return append([]byte{schemeEnvelope}, key[:]...), content
}

// openRow opens a message with what tableOpened holds, and returns the key in
// base64 as well.
func (m boxed) openRow(row []byte) (content []byte, unbox string) {
	switch {
	case len(row) == 1+privatebox.KeyLen && row[0] == schemeBox:
		key := privatebox.Key(row[1:])
		_, content = m.openBox(key)
		return content, key.String()
	case len(row) == 1+32 && row[0] == schemeEnvelope:
		key := envelope.ReadKey(row[1:])
		_, content = m.openEnvelope(key)
		return content, key.String()
	}
	return nil, ""
}
