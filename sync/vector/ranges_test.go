package vector_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/sync/vector"
)

const (
	modelFeeds = 3
	modelSeqs  = 24 // the model knows sequences 0 to 23; 0 never becomes a member
)

// set is Ranges as a plain table of members.
type set [modelFeeds][modelSeqs]bool

func (s *set) add(feed int, first, last int64) {
	for seq := max(first, 1); seq <= last; seq++ {
		s[feed][seq] = true
	}
}

// combine applies op to every possible member.
func (s *set) combine(other *set, op func(a, b bool) bool) *set {
	var result set
	for f := range s {
		for q := range s[f] {
			result[f][q] = op(s[f][q], other[f][q])
		}
	}
	return &result
}

// spans returns the members as the spans that Ranges must have.
func (s *set) spans() []vector.Span {
	var spans []vector.Span
	for f := range s {
		for q := int64(1); q < modelSeqs; q++ {
			if !s[f][q] {
				continue
			}
			if s[f][q-1] {
				spans[len(spans)-1].Last = q
			} else {
				spans = append(spans, vector.Span{Feed: refs.Feed{byte(f)}, First: q, Last: q})
			}
		}
	}
	return spans
}

func randomSet(rng *rand.Rand) (*set, *vector.Ranges) {
	var s set
	r := new(vector.Ranges)
	var spans []vector.Span
	for range rng.IntN(12) {
		f, first := rng.IntN(modelFeeds), rng.Int64N(modelSeqs)
		last := min(first+rng.Int64N(5)-1, modelSeqs-1)
		s.add(f, first, last)
		r.Add(refs.Feed{byte(f)}, first, last)
		spans = append(spans, vector.Span{Feed: refs.Feed{byte(f)}, First: first, Last: last})
	}
	if rng.IntN(2) == 0 {
		return &s, vector.FromSpans(spans)
	}
	return &s, r
}

func checkRanges(t *testing.T, what string, r *vector.Ranges, want *set) {
	t.Helper()
	got := slices.Collect(r.All())
	if !slices.Equal(got, want.spans()) {
		t.Fatalf("%s: %v, want %v", what, got, want.spans())
	}
	var count int64
	feeds := map[refs.Feed]bool{}
	for _, s := range got {
		count += s.Len()
		feeds[s.Feed] = true
	}
	if r.Count() != count || r.Len() != len(feeds) {
		t.Fatalf("%s: Count %d, Len %d, want %d, %d", what, r.Count(), r.Len(), count, len(feeds))
	}
	encoded, _ := r.AppendBinary(nil)
	back, err := vector.DecodeRanges(encoded, maxFeeds)
	if err != nil || !back.Equal(r) || !r.Equal(back) {
		t.Fatalf("%s: decoding %x: %v", what, encoded, err)
	}
}

// checkQueries compares the questions about one span with the model.
func checkQueries(t *testing.T, r *vector.Ranges, s *set, f int, first, last int64) {
	t.Helper()
	feed := refs.Feed{byte(f)}
	var asked set
	asked.add(f, first, last)
	want := asked.combine(s, func(a, b bool) bool { return a && !b }).spans()
	if got := r.Uncovered(vector.Span{Feed: feed, First: first, Last: last}); !slices.Equal(got, want) {
		t.Fatalf("Uncovered(%d–%d) = %v, want %v of %v", first, last, got, want, s.spans())
	}
	if got := r.Covers(feed, first, last); got != (len(want) == 0) {
		t.Fatalf("Covers(%d–%d) = %v, but uncovered is %v", first, last, got, want)
	}
	through := first - 1
	for through+1 < modelSeqs && s[f][through+1] {
		through++
	}
	if got := r.Through(feed, first); got != through {
		t.Fatalf("Through(%d) = %d, want %d of %v", first, got, through, s.spans())
	}
}

func TestRangesAgainstSet(t *testing.T) {
	const rounds = 4000
	rng := rand.New(rand.NewPCG(5, 6))
	for range rounds {
		a, ra := randomSet(rng)
		b, rb := randomSet(rng)
		checkRanges(t, "built", ra, a)
		checkRanges(t, "union", ra.Union(rb), a.combine(b, func(a, b bool) bool { return a || b }))
		checkRanges(t, "intersection", ra.Intersect(rb), a.combine(b, func(a, b bool) bool { return a && b }))
		checkRanges(t, "difference", ra.Subtract(rb), a.combine(b, func(a, b bool) bool { return a && !b }))
		checkRanges(t, "unchanged", ra, a)
		f, first := rng.IntN(modelFeeds), 1+rng.Int64N(modelSeqs-1)
		checkQueries(t, ra, a, f, first, min(first+rng.Int64N(6), modelSeqs-1))
		if ra.Equal(rb) != (*a == *b) {
			t.Fatalf("Equal is wrong for %v and %v", a.spans(), b.spans())
		}
	}
	t.Logf("%d random pairs of sets", rounds)
}

func TestRangesShareNothing(t *testing.T) {
	feed := refs.Feed{1}
	a := vector.FromSpans([]vector.Span{{feed, 1, 3}, {feed, 7, 9}})
	sum, left := a.Union(nil), a.Subtract(nil)
	runs := a.Feed(feed)
	a.Add(feed, 4, 4)
	runs[0].Last = 99
	for name, r := range map[string]*vector.Ranges{"union": sum, "difference": left} {
		if got := r.Count(); got != 6 {
			t.Errorf("%s counts %d after its source changed, want 6", name, got)
		}
	}
	if got := fmt.Sprint(a.Feed(feed)); got != "[{1 4} {7 9}]" {
		t.Errorf("runs are %s", got)
	}
}

func TestRangesZeroAndBounds(t *testing.T) {
	var none *vector.Ranges
	feed := refs.Feed{1}
	checkRanges(t, "nil", none, &set{})
	checkRanges(t, "nil operands", none.Union(nil).Subtract(nil).Intersect(nil), &set{})
	if !none.Covers(feed, 5, 4) || none.Covers(feed, 5, 5) || !none.Equal(&vector.Ranges{}) {
		t.Error("a nil set does not answer as an empty one")
	}
	var r vector.Ranges
	r.Add(feed, 9, 8)
	r.Add(feed, -5, 0)
	r.Add(feed, vector.MaxSeq+1, vector.MaxSeq+1)
	if r.Len() != 0 {
		t.Errorf("empty pieces added %v", r.Feed(feed))
	}
	r.Add(feed, -5, vector.MaxSeq+5)
	if got := r.Feed(feed); len(got) != 1 || got[0] != (vector.Range{First: 1, Last: vector.MaxSeq}) {
		t.Errorf("a piece beyond the bounds became %v", got)
	}
	encoded, _ := r.AppendBinary(nil)
	if back, err := vector.DecodeRanges(encoded, 1); err != nil || !back.Equal(&r) {
		t.Errorf("the largest range does not survive encoding: %v", err)
	}
	clock := vector.FromEntries([]vector.Entry{{feed, 3}, {refs.Feed{2}, 0}})
	if got := slices.Collect(vector.FromClock(clock).All()); !slices.Equal(got, []vector.Span{{feed, 1, 3}}) {
		t.Errorf("FromClock = %v", got)
	}
}

func TestRangesEncoding(t *testing.T) {
	feed := refs.Feed{1}
	r := vector.FromSpans([]vector.Span{{feed, 2, 3}, {feed, 5, 5}})
	head := append([]byte{1, 1}, make([]byte, 31)...)
	want := append(slices.Clone(head), 2, 1, 1, 0, 0)
	if got, _ := r.AppendBinary(nil); !slices.Equal(got, want) {
		t.Fatalf("encoded as %x, want %x", got, want)
	}
	for n := range want {
		if _, err := vector.DecodeRanges(want[:n], maxFeeds); err == nil {
			t.Fatalf("truncation to %d bytes accepted", n)
		}
	}
	bad := map[string][]byte{
		"no runs":               append(slices.Clone(head), 0),
		"no runs, padded":       append(slices.Clone(head), 0, 0, 0, 0),
		"trailing byte":         append(slices.Clone(want), 0),
		"more runs than bytes":  append(slices.Clone(head), 0xff, 0x7f, 1, 1),
		"number not shortest":   append(slices.Clone(head), 1, 0x81, 0x00, 0),
		"last over MaxSeq":      append(slices.Clone(head), 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f, 0),
		"count without content": {0xff, 0xff, 0x3f},
	}
	for name, b := range bad {
		if r, err := vector.DecodeRanges(b, maxFeeds); err == nil {
			t.Errorf("%s accepted as %v", name, slices.Collect(r.All()))
		}
	}
	if _, err := vector.DecodeRanges(want, 0); err == nil {
		t.Error("a feed accepted where none is the limit")
	}
}

func FuzzDecodeRanges(f *testing.F) {
	rng := rand.New(rand.NewPCG(7, 8))
	for range 20 {
		_, r := randomSet(rng)
		encoded, _ := r.AppendBinary(nil)
		if _, err := vector.DecodeRanges(encoded, maxFeeds); err != nil {
			f.Fatal(err)
		}
		f.Add(encoded)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := vector.DecodeRanges(b, maxFeeds)
		if err != nil {
			return
		}
		if again, _ := r.AppendBinary(nil); string(again) != string(b) {
			t.Fatalf("%x decodes to ranges that encode as %x", b, again)
		}
		if !vector.FromSpans(slices.Collect(r.All())).Equal(r) {
			t.Fatalf("%x decodes to ranges that are not normalised", b)
		}
	})
}
