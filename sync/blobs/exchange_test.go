package blobs_test

import (
	"bytes"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/sync/blobs"
)

// TestSizes fetches blobs around the borders of packets and of the limit.
func TestSizes(t *testing.T) {
	a, b := newNode(t, 1, blobs.Config{}), newNode(t, 2, blobs.Config{})
	connect(t, a, b)
	for _, size := range []int{0, 1, 65_535, 65_536, 65_537, 1 << 20, 5 << 20} {
		id := a.add(random(size, uint64(size)))
		b.want(id)
		b.gets(id)
	}
	until(t, "nothing is wanted any more", func() bool { return len(b.Wants()) == 0 })
}

// TestOrders: whatever comes first, the blob arrives.
func TestOrders(t *testing.T) {
	data := []byte("in any order")
	id := refs.SumBlob(data)
	steps := map[byte]func(a, b *node){
		'w': func(_, b *node) { b.want(id) },
		'a': func(a, _ *node) { a.add(data) },
		'c': func(a, b *node) { connect(t, a, b) },
	}
	for _, order := range []string{"wac", "wca", "awc", "acw", "cwa", "caw"} {
		a, b := newNode(t, 1, blobs.Config{}), newNode(t, 2, blobs.Config{})
		for i := range order {
			steps[order[i]](a, b)
		}
		b.gets(id)
	}
}

// TestHops lets a want go along a chain of nodes: out of sympathy, and no
// further than that reaches.
func TestHops(t *testing.T) {
	nodes := make([]*node, 6)
	for i := range nodes {
		nodes[i] = newNode(t, byte(i+1), blobs.Config{})
	}
	for i := range nodes[1:] {
		connect(t, nodes[i], nodes[i+1])
	}
	near, far := []byte("three nodes away"), []byte("five nodes away")
	nodes[3].add(near)
	nodes[5].add(far)
	nodes[0].want(refs.SumBlob(far), refs.SumBlob(near))
	nodes[0].gets(refs.SumBlob(near))
	nodes[1].gets(refs.SumBlob(near))
	nodes[2].gets(refs.SumBlob(near))
	for i, hops := range []int{-1, -2, -3} {
		until(t, "it is noticed what came", func() bool { return len(nodes[i].Wants()) == 1 })
		list := nodes[i].Wants()
		if len(list) != 1 || list[0].ID != refs.SumBlob(far) || list[0].Hops != hops || (list[0].Origin == blobs.Asked) != (i == 0) {
			t.Errorf("node %d wants %v", i, list)
		}
	}
	for i := range nodes[3:] {
		if list := nodes[3+i].Wants(); len(list) != 0 {
			t.Errorf("node %d wants %v", 3+i, list)
		}
	}
	// Node 3 was told and wants nothing: when it gets the blob for itself, it
	// goes all the way.
	nodes[3].want(refs.SumBlob(far))
	nodes[0].gets(refs.SumBlob(far))
}

// TestNoSympathy: what peers want is their business.
func TestNoSympathy(t *testing.T) {
	a, b, c := newNode(t, 1, blobs.Config{}), newNode(t, 2, blobs.Config{Sympathy: -1}), newNode(t, 3, blobs.Config{})
	connect(t, a, b)
	connect(t, b, c)
	id, other := a.add([]byte("not for c")), a.add([]byte("for b"))
	c.want(id)
	b.want(other)
	b.gets(other)
	until(t, "b wants nothing", func() bool { return len(b.Wants()) == 0 })
	if b.files.Has(id) {
		t.Error("took over a want")
	}
	b.want(id)
	c.gets(id)
}

// TestSympathyEnds: what a peer wanted is not wanted after it is gone.
func TestSympathyEnds(t *testing.T) {
	a, b, c := newNode(t, 1, blobs.Config{}), newNode(t, 2, blobs.Config{}), newNode(t, 3, blobs.Config{})
	id, own := refs.SumBlob([]byte("nowhere")), refs.SumBlob([]byte("our own"))
	b.want(own)
	leave := connect(t, a, b)
	leaveToo := connect(t, c, b)
	a.want(id, own)
	c.want(id)
	until(t, "b wants what a wants", func() bool { return len(b.Wants()) == 2 })
	until(t, "c asked too", func() bool { _, _, n := b.Remembered(c.id); return n == 1 })
	leave()
	if n := len(b.Wants()); n != 2 {
		t.Errorf("%d wants after one of two who asked is gone", n)
	}
	leaveToo()
	if list := b.Wants(); len(list) != 1 || list[0].ID != own {
		t.Errorf("wants after who asked is gone: %v", list)
	}
	until(t, "a and c leave", func() bool { return b.Peers() == 0 })
}

// TestRestart: what is asked for and pushed is so after a restart, until it is
// here, or taken.
func TestRestart(t *testing.T) {
	dir := t.TempDir()
	a := openNode(t, dir, 1, blobs.Config{})
	id, later := refs.SumBlob([]byte("asked for")), refs.SumBlob([]byte("put there meanwhile"))
	a.want(id, later)
	a.Refer(refs.SumBlob([]byte("referred to")))
	pushed := a.add([]byte("pushed"))
	if err := a.Push(pushed); err != nil {
		t.Fatal(err)
	}
	a.close()

	a = openNode(t, dir, 1, blobs.Config{Pushy: 2})
	if list := a.Wants(); len(list) != 2 || list[0].Origin != blobs.Asked {
		t.Errorf("wanted after a restart: %v", list)
	}
	a.add([]byte("put there meanwhile"))
	until(t, "it is here", func() bool { return len(a.Wants()) == 1 })
	b, c := newNode(t, 2, blobs.Config{}), newNode(t, 3, blobs.Config{})
	b.add([]byte("asked for"))
	leave := connect(t, a, b)
	a.gets(id)
	b.gets(pushed)
	if list := a.Pushing(); len(list) != 1 { // one is not enough
		t.Errorf("pushing after one of two took it: %v", list)
	}
	leaveToo := connect(t, a, c)
	c.gets(pushed)
	until(t, "two have taken it", func() bool { return len(a.Pushing()) == 0 })
	leave()
	leaveToo()
	a.close()
	a = openNode(t, dir, 1, blobs.Config{})
	if len(a.Wants())+len(a.Pushing()) != 0 {
		t.Errorf("after all is done: wants %v, pushes %v", a.Wants(), a.Pushing())
	}
}

// TestMany fetches many blobs from several peers: each once, and from a peer
// one at a time.
func TestMany(t *testing.T) {
	const peers, count = 4, 60
	a := newNode(t, 1, blobs.Config{})
	var ids []refs.Blob
	var others []*node
	for i := range peers {
		others = append(others, newNode(t, byte(2+i), blobs.Config{}))
	}
	for i := range count {
		data := random(100+i, uint64(i))
		ids = append(ids, refs.SumBlob(data))
		others[i%peers].add(data)
		others[(i+1)%peers].add(data)
	}
	for _, other := range others {
		connect(t, a, other)
	}
	a.Refer(ids...)
	a.gets(ids...)
	served := 0
	for _, other := range others {
		other.mu.Lock()
		for _, n := range other.served {
			served += n
		}
		if other.most != 1 {
			t.Errorf("%d blobs of one peer at a time", other.most)
		}
		other.mu.Unlock()
	}
	if served != count {
		t.Errorf("%d blobs were fetched %d times", count, served)
	}
	t.Logf("%d blobs from %d peers", count, peers)
}

// TestUnwant no longer asks for what is not wanted any more.
func TestUnwant(t *testing.T) {
	a := newNode(t, 1, blobs.Config{})
	asked, referred, kept := refs.SumBlob([]byte("1")), refs.SumBlob([]byte("2")), refs.SumBlob([]byte("3"))
	a.want(asked)
	a.Refer(referred, kept, asked)
	a.Unrefer(func(id refs.Blob) bool { return id == kept })
	if list := a.Wants(); len(list) != 2 || list[0].ID != asked || list[1].ID != kept {
		t.Errorf("wants %v", list)
	}
	if err := a.Unwant(asked, kept, referred); err != nil || len(a.Wants()) != 0 {
		t.Errorf("wants %v, %v", a.Wants(), err)
	}
	s := meet(t, a, 9, nil)
	last := refs.SumBlob([]byte("4"))
	a.want(last)
	for {
		heard := <-s.heard
		for id := range heard {
			if id != last.String() {
				t.Errorf("told that %s is wanted", id)
			}
		}
		if len(heard) > 0 {
			return
		}
	}
}

// TestRoom holds off what there is no room for, and goes on when there is.
func TestRoom(t *testing.T) {
	full := make(chan struct{})
	var kept atomic.Int64
	room := func(origin blobs.Origin, size int64) (func(), error) {
		select {
		case <-full:
		default:
			if origin != blobs.Asked {
				return nil, fmt.Errorf("no room for %d bytes", size)
			}
		}
		kept.Add(size)
		return func() { kept.Add(-size) }, nil
	}
	a := newNode(t, 1, blobs.Config{Room: room, Limits: blobs.Limits{Retry: 1}})
	b := newNode(t, 2, blobs.Config{})
	id, asked := b.add([]byte("referred to")), b.add([]byte("asked for"))
	connect(t, a, b)
	a.Refer(id)
	a.want(asked)
	a.gets(asked)
	if a.files.Has(id) {
		t.Error("fetched without room")
	}
	close(full)
	a.gets(id)
	until(t, "no room is kept any more", func() bool { return kept.Load() == 0 })
}

// TestFrames: what is written is read, and what others write.
func TestFrames(t *testing.T) {
	one, two := refs.SumBlob([]byte("1")), refs.SumBlob([]byte("2"))
	for _, c := range []struct {
		frame string
		notes int
		bad   bool
	}{
		{`{}`, 0, false},
		{fmt.Sprintf(`{"%s":-1,"%s":4711}`, one, two), 2, false},
		{fmt.Sprintf(` { "%s" : -1.0e0 , "x":{"y":[1]}, "%s" : 5e3 } `, one, two), 2, false},
		{fmt.Sprintf(`{"%s":0,"%s":1.5}`, one, two), 0, false},
		{fmt.Sprintf(`{"%s":"-1","%s":true}`, one, two), 0, false},
		{fmt.Sprintf(`{"%s":1e300,"%s":null}`, one, two), 0, false},
		{`{"../../etc/passwd":-1,"&../../../../etc/passwdAAAAAAAAAAAAAAAAAAAAAAAA=.sha256":-1}`, 0, false},
		{`{"@aH2/3uwfwrUOMO2/rDOfqCNFk7/C++8YGE/ydbkwkQI=.ed25519":-1}`, 0, false},
		{fmt.Sprintf(`{"%s":-1`, one), 1, true},
		{`[]`, 0, true},
		{`"text"`, 0, true},
		{``, 0, true},
		{`{"a"}`, 0, true},
	} {
		notes, err := blobs.ParseFrame([]byte(c.frame))
		if len(notes) != c.notes || (err != nil) != c.bad {
			t.Errorf("%s: %v, %v", c.frame, notes, err)
		}
	}
}

// FuzzFrame: what is read of a frame is written and read again.
// TestAskedOften: a want that is announced again and again is told to a peer that
// comes after any of these times.
func TestAskedOften(t *testing.T) {
	a := newNode(t, 1, blobs.Config{})
	id := refs.SumBlob([]byte("wanted"))
	a.want(id)
	for n := range 2500 {
		a.want(id)
		if !a.Announced(id) {
			t.Fatalf("announced to nobody after %d times", n+2)
		}
	}
}

func FuzzFrame(f *testing.F) {
	one := refs.SumBlob([]byte("1"))
	f.Add([]byte(`{}`))
	f.Add([]byte(frame(one, -1)))
	f.Add([]byte(frame(one, 1<<53-1)))
	f.Add([]byte(`{"&x":1,"y":{"z":[[[]]]}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		notes, _ := blobs.ParseFrame(body)
		written := blobs.AppendFrame(notes)
		again, err := blobs.ParseFrame(written)
		if err != nil || !bytes.Equal(blobs.AppendFrame(again), written) || len(again) != len(notes) {
			t.Errorf("%q: %v", written, err)
		}
	})
}

func BenchmarkFrame(b *testing.B) {
	notes := make([]blobs.Note, 1000)
	for i := range notes {
		notes[i] = blobs.Note{ID: refs.SumBlob(fmt.Append(nil, i)), Number: -1}
	}
	body := blobs.AppendFrame(notes)
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		if _, err := blobs.ParseFrame(body); err != nil {
			b.Fatal(err)
		}
	}
}
