package message_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/ssbsync/ssbsync/spec/message"
	"github.com/ssbsync/ssbsync/spec/refs"
)

// FuzzVerify holds that validity is decided on the stored form: what is valid
// in any spelling is valid in that one, with the same id and bytes.
func FuzzVerify(f *testing.F) {
	pair := testPair(1)
	first := create(f, pair, message.Head{Feed: pair.Feed()}, `{"type":"post","n":[1e21,0.5],"2":"é\ud83d\ude00","1":{}}`)
	later := create(f, pair, message.Head{Feed: pair.Feed(), Seq: 6, ID: refs.Message{1}}, `"YWJj.box"`)
	for _, m := range []*message.Message{first, later} {
		value := string(m.Value())
		for _, spelling := range []string{
			value,
			strings.ReplaceAll(value, `,"`, " ,\n\""),
			strings.Replace(value, `"post"`, `"\u0070ost"`, 1),
			strings.Replace(value, `0.5`, `5e-1`, 1),
			strings.Replace(value, `{"previous"`, `{"previous":0,"previous"`, 1),
			strings.Replace(value, `"sequence":7`, `"sequence":70e-1`, 1),
			strings.Replace(value, `"timestamp":1500000000006`, `"timestamp":1e999`, 1),
		} {
			f.Add([]byte(spelling))
		}
	}
	for _, v := range dataSet(f)[:20] {
		f.Add(v)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		message.Fields(raw)
		m, err := message.Verify(raw, nil)
		if err != nil {
			return
		}
		again, err := message.Verify(m.Value(), nil)
		if err != nil || again.ID() != m.ID() || !bytes.Equal(again.Value(), m.Value()) || !bytes.Equal(again.Content(), m.Content()) {
			t.Fatalf("%q is valid, its stored form %q: %v", raw, m.Value(), err)
		}
	})
}

// FuzzCreate holds that what Create signs is valid and its content canonical.
func FuzzCreate(f *testing.F) {
	for _, s := range []string{`{"type":"post"}`, `{"b":1,"type":"post","1":"\u0041\ud800"}`, `"YWJj.box"`, `"YWJj.box2"`, `{"type":"post"},"hash":"x"`} {
		f.Add([]byte(s), 1.5)
	}
	pair := testPair(1)
	f.Fuzz(func(t *testing.T, content []byte, timestamp float64) {
		m, err := message.Create(pair, message.Head{Feed: pair.Feed()}, content, timestamp, nil)
		if err != nil {
			return
		}
		if _, err := message.Verify(m.Value(), nil); err != nil || m.Timestamp() != timestamp {
			t.Fatalf("%q at %v: %s, %v", content, timestamp, m.Value(), err)
		}
		if view, err := message.Fields(m.Value()); err != nil || !bytes.Equal(view.Content, m.Content()) {
			t.Fatalf("%s: content %s, %v", m.Value(), view.Content, err)
		}
	})
}
