package stick_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/ssbsync/ssbsync/spec/message"
	"github.com/ssbsync/ssbsync/sync/stick"
)

// TestInterruptedWriting ends a visit while a large bundle is being written.
func TestInterruptedWriting(t *testing.T) {
	a, m := newNode(t, 1), newMedium(t)
	m.open()
	random := rand.New(rand.NewPCG(1, 2))
	head, batch := message.Head{Feed: feed(1)}, []*message.Message(nil)
	const count = 3000 // of 4 KiB of which 3 remain in a bundle: more than one step of writing
	for range count {
		text := make([]byte, 4096)
		for i := range text {
			text[i] = byte('0' + random.IntN(64))
			if text[i] == '\\' {
				text[i] = ' '
			}
		}
		msg, err := message.Create(pair(1), head, fmt.Appendf(nil, `{"type":"post","text":"%s"}`, text), 1500000000000+float64(head.Seq), nil)
		if err == nil {
			head, err = head.Next(msg)
		}
		if err != nil {
			t.Fatal(err)
		}
		batch = append(batch, msg)
	}
	if _, err := a.store.Append(batch); err != nil {
		t.Fatal(err)
	}
	before := m.state()
	ctx, cancel := context.WithCancelCause(t.Context())
	enough, wrote := errors.New("enough"), int64(0)
	_, err := a.peer.Visit(ctx, m.open(), stick.VisitOptions{Progress: func(p stick.Progress) {
		if p.Phase == stick.Writing {
			wrote = p.Bytes
			cancel(enough)
		}
	}})
	if !errors.Is(err, enough) || wrote == 0 {
		t.Fatalf("after %d bytes: %v", wrote, err)
	}
	if after := m.state(); len(after) != len(before) {
		t.Errorf("files on the medium: %d before, %d after", len(before), len(after))
	}
	if rep := a.visit(m); rep.Export.Messages != count || rep.Export.Bytes <= wrote {
		t.Errorf("the next visit: %+v", rep.Export)
	} else {
		t.Logf("ended after %d of %d bytes", wrote, rep.Export.Bytes)
	}
}
