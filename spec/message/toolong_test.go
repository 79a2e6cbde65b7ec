package message_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/ssbsync/ssbsync/spec/ecmajson"
	"github.com/ssbsync/ssbsync/spec/message"
)

// TestTooLong creates messages around the longest there may be: those beyond
// are refused with their length, without the signature where the rest is too
// long already.
func TestTooLong(t *testing.T) {
	pair := testPair(1)
	head := message.Head{Feed: pair.Feed()}
	units := func(m *message.Message) int {
		text, err := ecmajson.Indent(m.Value())
		if err != nil {
			t.Fatal(err)
		}
		return ecmajson.UTF16Len(text)
	}
	content := func(n int) []byte { return []byte(`{"type":"post","text":"` + strings.Repeat("ü", n) + `"}`) }
	rest := units(create(t, pair, head, string(content(0))))
	const signature = 119
	for _, c := range []struct{ length, reported int }{
		{message.MaxUnits - 1, 0},
		{message.MaxUnits, 0},
		{message.MaxUnits + 1, message.MaxUnits + 1},
		{message.MaxUnits + signature, message.MaxUnits + signature},
		{message.MaxUnits + signature + 1, message.MaxUnits + 1},
		{20_000, 20_000 - signature},
	} {
		m, err := message.Create(pair, head, content(c.length-rest), 1500000000000, nil)
		if c.reported == 0 {
			if err != nil || units(m) != c.length {
				t.Errorf("%d units: %v", c.length, err)
			}
			continue
		}
		var invalid *message.InvalidError
		if m != nil || !errors.As(err, &invalid) || invalid.Units != c.reported {
			t.Errorf("%d units: %v, %v; want %d units reported", c.length, m, err, c.reported)
		}
	}
}
