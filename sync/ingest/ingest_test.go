package ingest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/ssbsync/ssbsync/spec/keys"
	"github.com/ssbsync/ssbsync/spec/message"
	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/store"
	"github.com/ssbsync/ssbsync/sync/ingest"
	"github.com/ssbsync/ssbsync/sync/vector"
)

// respell returns the same message in other words.
func respell(t testing.TB, raw []byte) []byte {
	var b bytes.Buffer
	if err := json.Indent(&b, raw, " ", "\t"); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// Every fate that a message can have.
func TestFates(t *testing.T) {
	r := start(t, ingest.Config{})
	a, b := feed(t, 1, 5), feed(t, 2, 3)
	branch, _ := grow(t, pair(2), message.Head{}, 3, "another past")
	unwanted := pair(3).Feed()
	in := r.Open(ingest.Source{Name: "test", Accept: func(f refs.Feed) bool { return f != unwanted }})

	add(t, in, a[0], a[1])
	expect(t, "new", flush(t, in), "messages=2 new=2 newfeeds=1")
	add(t, in, a[0], respell(t, a[1]), a[2], a[2])
	expect(t, "duplicate", flush(t, in), "messages=4 new=1 duplicate=3")

	add(t, in, []byte("{"), []byte("[]"), nil, bytes.Replace(a[3], []byte("hello"), []byte("hullo"), 1))
	add(t, in, bytes.Repeat([]byte(" "), message.MaxRaw+1), bytes.Repeat([]byte(" "), message.MaxRaw))
	s := flush(t, in)
	expect(t, "rejected", s, "messages=6 rejected=6")
	if r := s.Rejects[3]; r.Feed != pair(1).Feed() || r.Seq != 4 || r.Source != "test" || !strings.Contains(r.Reason, "signature") {
		t.Errorf("forged message: %v", r)
	}

	add(t, in, feed(t, 3, 2)...)
	s = flush(t, in)
	expect(t, "refused", s, "messages=2 refused=2")
	if s.Feeds[unwanted].Refused != 2 {
		t.Errorf("details of the refused feed: %+v", s.Feeds)
	}

	add(t, in, a[4])
	s = flush(t, in)
	expect(t, "waiting", s, "messages=1 waiting=1")
	if want := []vector.Span{{Feed: pair(1).Feed(), First: 4, Last: 4}}; !slices.Equal(s.Gaps, want) {
		t.Errorf("gaps %v, want %v", s.Gaps, want)
	}
	add(t, in, a[4])
	expect(t, "waiting twice", flush(t, in), "messages=1 waiting=1")
	add(t, in, a[3])
	s = flush(t, in)
	expect(t, "attached", s, "messages=1 new=2 retried=1")
	if len(s.Gaps) != 0 {
		t.Errorf("gaps %v, want none", s.Gaps)
	}

	add(t, in, b[0], branch[1])
	s = flush(t, in)
	expect(t, "detached", s, "messages=2 new=1 rejected=1 newfeeds=1")
	if !strings.Contains(s.Rejects[0].Reason, "fork") {
		t.Errorf("detached: %v", s.Rejects[0])
	}
	add(t, in, branch[0])
	s = flush(t, in)
	expect(t, "forked", s, "messages=1 forked=1")
	if len(s.Forks) != 1 || s.Forks[0].Feed != pair(2).Feed() || s.Forks[0].Seq != 1 {
		t.Errorf("forks: %+v", s.Forks)
	}
	add(t, in, b...)
	expect(t, "frozen", flush(t, in), "messages=3 duplicate=1 frozen=2")
	expect(t, "nothing", flush(t, in), "")
	same(t, r.store, append(slices.Clone(a), b[0]))
}

// Rejects come in the order in which the messages were handed over, with their
// positions, however the work was divided.
func TestRejectOrder(t *testing.T) {
	r := start(t, ingest.Config{BatchMessages: 3})
	var told []int64
	in := r.Open(ingest.Source{Name: "lines", OnReject: func(r ingest.Reject) { told = append(told, r.Pos) }})
	var want []int64
	for n, raw := range corpus() {
		if n%3 == 1 {
			raw = raw[:len(raw)/2]
			want = append(want, int64(1000+n))
		}
		if err := in.AddAt(context.Background(), raw, int64(1000+n)); err != nil {
			t.Fatal(err)
		}
	}
	s := flush(t, in)
	if !slices.Equal(told, want) {
		t.Errorf("OnReject told %d positions, want %d, or another order", len(told), len(want))
	}
	if s.Rejected != int64(len(want)) || len(s.Rejects) != 100 || s.Rejects[99].Pos != want[99] {
		t.Errorf("%d of %d rejects in the summary of %d", len(s.Rejects), s.Rejected, len(want))
	}
	t.Logf("%d of %d messages rejected", len(want), len(corpus()))
}

// Bytes that cannot be read, however many, stop nothing.
func TestRejectText(t *testing.T) {
	r := ingest.Reject{Source: "x.jsonl", Pos: 7, Reason: "no object"}
	if got := r.Error(); got != "x.jsonl: message at 7: no object" {
		t.Error(got)
	}
	r.Feed, r.Seq = pair(1).Feed(), 3
	if got, want := r.Error(), fmt.Sprintf("x.jsonl: message at 7: feed %s sequence 3: no object", r.Feed); got != want {
		t.Error(got)
	}
}

// What one policy refused is taken as soon as another asks for it.
func TestPolicyChange(t *testing.T) {
	r := start(t, ingest.Config{})
	followed := false
	in := r.Open(ingest.Source{Accept: func(f refs.Feed) bool { return followed || f == pair(1).Feed() }})
	all := slices.Concat(feed(t, 1, 3), feed(t, 2, 4))
	add(t, in, all...)
	expect(t, "at first", flush(t, in), "messages=7 new=3 refused=4 newfeeds=1")
	followed = true
	add(t, in, all...)
	expect(t, "later", flush(t, in), "messages=7 new=4 duplicate=3 newfeeds=1")
	same(t, r.store, all)
}

// Messages of the own feed that the store lacks are told of, and only those.
func TestOwnMessages(t *testing.T) {
	var told []int64
	r := start(t, ingest.Config{
		Own:   pair(1).Feed(),
		OnOwn: func(m *message.Message) { told = append(told, m.Seq()) },
	})
	own := feed(t, 1, 6)
	in := r.Open(ingest.Source{})
	publish := func(n int64) {
		_, err := r.Publish(context.Background(), pair(1).Feed(), func(head message.Head) (*message.Message, error) {
			return message.Verify(own[head.Seq], nil)
		})
		if err != nil {
			t.Fatalf("publishing %d: %v", n, err)
		}
	}
	publish(1)
	add(t, in, own[0], own[1], own[3])
	add(t, in, feed(t, 2, 2)...)
	expect(t, "own", flush(t, in), "messages=5 new=3 duplicate=1 waiting=1 newfeeds=1")
	if !slices.Equal(told, []int64{2, 4}) {
		t.Errorf("told of %v, want 2 and 4", told)
	}
	publish(3)
	in.Flush(context.Background())
	add(t, in, own[4])
	flush(t, in)
	same(t, r.store, slices.Concat(own[:5], feed(t, 2, 2)))
}

// Summaries of several flushes add up.
func TestMerge(t *testing.T) {
	r := start(t, ingest.Config{})
	in := r.Open(ingest.Source{})
	raws := feed(t, 1, 4)
	var sum ingest.Summary
	for _, raw := range raws {
		add(t, in, raw, raw, []byte("x"))
		sum.Merge(flush(t, in))
	}
	expect(t, "sum", sum, "messages=12 new=4 duplicate=4 rejected=4 newfeeds=1")
	if d := sum.Feeds[pair(1).Feed()]; d.New != 4 || !d.First {
		t.Errorf("details: %+v", d)
	}
	balanced(t, sum)
}

// A second Run of one pipeline is refused.
func TestRunOnce(t *testing.T) {
	r := start(t, ingest.Config{})
	flush(t, r.Open(ingest.Source{}))
	in := r.Open(ingest.Source{})
	add(t, in, feed(t, 1, 1)...)
	flush(t, in)
	if err := r.Run(context.Background()); err == nil {
		t.Error("Run twice is no error")
	}
}

// hmac networks: a message of another network is rejected.
func TestNetwork(t *testing.T) {
	s := openStore(t)
	net := [32]byte{9}
	r := startOn(t, s, ingest.Config{Net: (*keys.HMAC)(&net)})
	m, err := message.Create(pair(1), message.Head{Feed: pair(1).Feed()}, []byte(`{"type":"post"}`), 1, (*keys.HMAC)(&net))
	if err != nil {
		t.Fatal(err)
	}
	in := r.Open(ingest.Source{})
	add(t, in, m.Value(), feed(t, 2, 1)[0])
	expect(t, "closed network", flush(t, in), "messages=2 new=1 rejected=1 newfeeds=1")
}

var _ ingest.Store = (*store.Store)(nil)
