package stick_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/sync/stick"
)

// blobs are those of a node of the tests.
type blobs struct {
	held   map[refs.Blob][]byte
	wanted map[refs.Blob]bool
	refer  map[refs.Blob]refs.Feed // whose message 1 refers to it
	room   int                     // how many more are taken; negative for all
}

// withBlobs gives a node blobs, some of which it wants.
func (nd *node) withBlobs(wanted ...refs.Blob) *blobs {
	b := &blobs{map[refs.Blob][]byte{}, map[refs.Blob]bool{}, map[refs.Blob]refs.Feed{}, -1}
	for _, id := range wanted {
		b.wanted[id] = true
	}
	nd.peer.Blobs = b
	return b
}

// add adds blobs of a size and returns their ids.
func (b *blobs) add(size, count int) (ids []refs.Blob) {
	for i := range count {
		data := make([]byte, size)
		rand.NewChaCha8([32]byte{byte(i), byte(i >> 8), byte(size), byte(size >> 8), byte(size >> 16)}).Read(data)
		id := refs.SumBlob(data)
		b.held[id] = data
		ids = append(ids, id)
	}
	return ids
}

func (b *blobs) Wanted(too func(refs.Feed) bool) ([]refs.Blob, error) {
	all := maps.Clone(b.wanted)
	for id, feed := range b.refer {
		if too != nil && too(feed) {
			all[id] = true
		}
	}
	list := []refs.Blob{}
	for id := range all {
		if b.held[id] == nil {
			list = append(list, id)
		}
	}
	return list, nil
}

func (b *blobs) Size(id refs.Blob) (int64, bool) {
	data, ok := b.held[id]
	return int64(len(data)), ok
}

func (b *blobs) Get(id refs.Blob) ([]byte, error) {
	if b.held[id] == nil || refs.SumBlob(b.held[id]) != id {
		return nil, errors.New("blob is damaged")
	}
	return b.held[id], nil
}

func (b *blobs) Put(id refs.Blob, data []byte) error {
	if b.room == 0 {
		return fmt.Errorf("%w: enough", stick.ErrNoRoom)
	}
	b.room--
	if refs.SumBlob(data) != id {
		return errors.New("not that blob")
	}
	b.held[id] = bytes.Clone(data)
	return nil
}

func (b *blobs) Offered(accept func(feed refs.Feed, seq int64) bool) ([]refs.Blob, error) {
	var list []refs.Blob
	for id, feed := range b.refer {
		if b.held[id] != nil && accept(feed, 1) {
			list = append(list, id)
		}
	}
	return list, nil
}

// has fails unless the blobs are there.
func (b *blobs) has(t *testing.T, ids ...refs.Blob) {
	t.Helper()
	for _, id := range ids {
		if refs.SumBlob(b.held[id]) != id {
			t.Fatalf("blob %s is not there", id)
		}
	}
}

// TestBlobsWanted carries what a have asks for, and then falls silent.
func TestBlobsWanted(t *testing.T) {
	a, b, m := newNode(t, 1), newNode(t, 2), newMedium(t)
	have := a.withBlobs()
	ids := have.add(10_000, 3)
	want := b.withBlobs(ids...)
	b.visit(m)
	if rep := a.visit(m); rep.Export.Blobs != 3 {
		t.Errorf("wrote %d blobs", rep.Export.Blobs)
	}
	m.unchanged(func() { a.visit(m) })
	rep := b.visit(m)
	if want.has(t, ids...); rep.Import.Blobs != 3 {
		t.Errorf("took %d blobs", rep.Import.Blobs)
	}
	a.visit(m)
	m.unchanged(func() { a.visit(m); b.visit(m); a.visit(m) })

	// a third one gets them from the medium, and nobody writes them again
	c := newNode(t, 3)
	other := c.withBlobs(ids[1])
	c.visit(m)
	other.has(t, ids[1])
	if len(other.held) != 1 {
		t.Errorf("took %d blobs of which it wanted one", len(other.held))
	}
	if rep := a.visit(m); rep.Export.Blobs != 0 {
		t.Errorf("wrote %d blobs that lie there", rep.Export.Blobs)
	}
}

// TestBlobsOffered carries what messages refer to together with them, to a node
// that was never heard of, on a stick and in a file.
func TestBlobsOffered(t *testing.T) {
	a, m := newNode(t, 1), newMedium(t)
	a.post(1, 3)
	a.post(4, 2)
	have := a.withBlobs()
	mine, theirs, unrelated := have.add(5000, 2), have.add(6000, 2), have.add(7000, 1)
	for i := range 2 {
		have.refer[mine[i]], have.refer[theirs[i]] = feed(1), feed(4)
	}
	if rep := a.export(m, stick.ExportOptions{DryRun: true}); rep.Blobs != 4 || rep.Messages != 5 || len(m.files(".zst")) != 0 {
		t.Errorf("would write %d blobs, %d messages", rep.Blobs, rep.Messages)
	}
	if rep := a.export(m, stick.ExportOptions{}); rep.Blobs != 4 || rep.Messages != 5 || rep.Feeds != 2 {
		t.Errorf("wrote %d blobs, %d messages of %d feeds", rep.Blobs, rep.Messages, rep.Feeds)
	}
	m.unchanged(func() { a.export(m, stick.ExportOptions{NoHave: true}) })
	fresh := func(n byte) (*node, *blobs) {
		b := newNode(t, n)
		got := b.withBlobs()
		got.refer = have.refer
		return b, got
	}
	b, got := fresh(2)
	if rep := b.importAll(m); rep.Blobs != 4 || rep.New != 5 {
		t.Errorf("took %d blobs, %d messages", rep.Blobs, rep.New)
	}
	got.has(t, append(mine, theirs...)...)
	if got.held[unrelated[0]] != nil {
		t.Error("a blob came that nothing refers to")
	}

	one := newMedium(t)
	if rep := a.export(one, stick.ExportOptions{Feed: func(f refs.Feed) bool { return f == feed(4) }}); rep.Blobs != 2 {
		t.Errorf("of one feed: wrote %d blobs", rep.Blobs)
	}

	var file bytes.Buffer
	rep, err := a.peer.ExportBundle(t.Context(), &file, stick.ExportOptions{})
	if err != nil || rep.Blobs != 4 || rep.Messages != 5 {
		t.Fatalf("%v: %+v", err, rep)
	}
	c, got := fresh(3)
	if _, err := c.peer.ImportBundle(t.Context(), "file", bytes.NewReader(file.Bytes()), int64(file.Len()), stick.ImportOptions{}); err != nil {
		t.Fatal(err)
	}
	got.has(t, append(mine, theirs...)...)

	// Who holds the messages knows what it wants: nothing more is offered.
	b.visit(m)
	late := have.add(8000, 1)[0]
	have.refer[late] = feed(1)
	if rep := a.visit(m); rep.Export.Blobs != 0 {
		t.Errorf("wrote %d blobs that nobody asked for", rep.Export.Blobs)
	}
}

// TestBlobsSmallFirst writes within a size, small before large, and the rest the
// next time, none twice.
func TestBlobsSmallFirst(t *testing.T) {
	a, b, m := newNode(t, 1), newNode(t, 2), newMedium(t)
	have := a.withBlobs()
	large, small := have.add(200_000, 4), have.add(1000, 4)
	want := b.withBlobs(append(large, small...)...)
	b.visit(m)
	visits, written := 0, int64(0)
	for left := int64(8); left > 0; visits++ {
		rep := a.export(m, stick.ExportOptions{MaxSize: 300_000})
		if rep.Bytes > 300_000 || rep.Blobs == 0 || visits == 0 && rep.Blobs != 5 {
			t.Fatalf("visit %d wrote %d blobs, %d bytes", visits, rep.Blobs, rep.Bytes)
		}
		left, written = rep.BlobsLeft, written+rep.Blobs
	}
	if visits != 4 || written != 8 {
		t.Errorf("%d visits, %d blobs written", visits, written)
	}
	b.visit(m)
	want.has(t, append(large, small...)...)
}

// TestBlobsSmallStick carries blobs over a stick that holds half of them: what
// was taken makes room for the rest.
func TestBlobsSmallStick(t *testing.T) {
	const count, size = 40, 100_000
	a, b, m := newNode(t, 1), newNode(t, 2), newMedium(t)
	have := a.withBlobs()
	ids := have.add(size, count)
	want := b.withBlobs(ids...)
	a.post(1, 20)
	m.limit(stick.DefaultReserve+count*size/2, a, b)
	b.visit(m)
	rounds := 0
	for ; len(want.held) < count; rounds++ {
		if rounds > 6 {
			t.Fatalf("%d of %d blobs after %d rounds", len(want.held), count, rounds)
		}
		before := len(want.held)
		a.visit(m)
		if b.visit(m); len(want.held) == before {
			t.Fatalf("round %d brought nothing", rounds)
		}
	}
	want.has(t, ids...)
	b.wantHead(1, 20)
	t.Logf("%d blobs of %d bytes over a stick for half of them in %d rounds", count, size, rounds)
}

// TestBlobsInterrupted ends the export at every step, and goes on.
func TestBlobsInterrupted(t *testing.T) {
	a, b, m := newNode(t, 1), newNode(t, 2), newMedium(t)
	have := a.withBlobs()
	ids := have.add(3_000_000, 6)
	want := b.withBlobs(ids...)
	b.visit(m)
	cuts := 0
	for at := 1; ; at++ {
		ctx, cancel := context.WithCancel(t.Context())
		steps := 0
		_, err := a.peer.Visit(ctx, m.open(), stick.VisitOptions{Progress: func(stick.Progress) {
			if steps++; steps >= at {
				cancel()
			}
		}})
		cancel()
		if err == nil {
			break
		}
		if !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		cuts++
		if _, err := b.peer.Visit(t.Context(), m.open(), stick.VisitOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	b.visit(m)
	want.has(t, ids...)
	if left := m.files(".part"); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
	t.Logf("%d interruptions", cuts)
}

// TestBlobsDamaged: a damaged copy is named and written again; one that is
// damaged in our own folder is left out and named.
func TestBlobsDamaged(t *testing.T) {
	a, b, m := newNode(t, 1), newNode(t, 2), newMedium(t)
	have := a.withBlobs()
	ids := have.add(50_000, 3)
	want := b.withBlobs(ids...)
	b.visit(m)
	a.visit(m)
	file := m.files(".zst")[0]
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.Index(data, have.held[ids[1]][20_000:20_100])
	if at < 0 {
		t.Fatal("the blob is not found in the bundle")
	}
	data[at] ^= 1
	if err := os.WriteFile(file, data, 0o644); err != nil {
		t.Fatal(err)
	}
	if rep := b.visit(m); rep.Import.Blobs != 2 || len(rep.Import.Losses) != 1 {
		t.Errorf("took %d blobs, lost %v", rep.Import.Blobs, rep.Import.Losses)
	}
	if rep := a.visit(m); rep.Export.Blobs != 1 {
		t.Errorf("wrote %d blobs again", rep.Export.Blobs)
	}
	b.visit(m)
	want.has(t, ids...)

	more := have.add(60_000, 2)
	want.wanted[more[0]], want.wanted[more[1]] = true, true
	b.visit(m)
	have.held[more[0]][7] ^= 1
	if rep := a.visit(m); rep.Export.Blobs != 1 || len(rep.Export.Skipped) != 1 {
		t.Errorf("wrote %d blobs, skipped %v", rep.Export.Blobs, rep.Export.Skipped)
	}
}

// TestBlobsNoRoom: what there is no room for at home does not keep messages from
// coming, and comes later.
func TestBlobsNoRoom(t *testing.T) {
	a, b, m := newNode(t, 1), newNode(t, 2), newMedium(t)
	a.post(1, 5)
	have := a.withBlobs()
	ids := have.add(1000, 5)
	want := b.withBlobs(ids...)
	want.room = 2
	b.visit(m)
	a.visit(m)
	rep := b.visit(m)
	if rep.Import.Blobs != 2 || rep.Import.New != 5 || !slices.ContainsFunc(rep.Import.Warnings, func(s string) bool {
		return s == "no more blobs are taken: storing blob "+firstLeft(want, ids)+": no room for blobs: enough"
	}) {
		t.Errorf("took %d blobs and %d messages: %q", rep.Import.Blobs, rep.Import.New, rep.Import.Warnings)
	}
	want.room = -1
	b.visit(m)
	want.has(t, ids...)
}

// firstLeft is the blob that was refused: the next in a bundle, which has them
// by size and id.
func firstLeft(b *blobs, ids []refs.Blob) string {
	ids = slices.SortedFunc(slices.Values(ids), refs.Blob.Compare)
	return ids[len(b.held)].String()
}
