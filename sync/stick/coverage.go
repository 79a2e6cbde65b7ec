package stick

import (
	"io"
	"slices"

	"github.com/ssbsync/ssbsync/bundle"
	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/sync/vector"
)

// source is one bundle on the medium, in one visit.
type source struct {
	*facts
	label string // what reports call it: a path or a name
	size  int64
	open  func() (*bundle.Reader, io.Closer, error)

	broken  string       // why the whole bundle cannot be read; there are no facts then
	gone    bool         // because somebody removed it meanwhile
	invalid bool         // because of its bytes, which will stay so
	checked bool         // the hash of each frame was compared once, on this medium
	damaged []int        // frames that did not agree with their hash, ascending
	read    map[int]bool // frames that agreed in this visit

	// doubted frames are those that a store we honour found damaged here;
	// 0, the range table, stands for the whole bundle.
	doubted []int

	// answered are the haves whose doubts we answered by writing the bundle
	// again: they say nothing of the copy that lies there now.
	answered []haveFile

	// accused frames are those that somebody else found damaged here. That
	// makes us look again, and believe what we see.
	accused []int

	learnt bool // something of this is not in the ledger yet
	fresh  bool // written in this visit
}

// usable reports whether messages of the bundle can be taken in.
func (s *source) usable(network [32]byte) bool {
	return s.broken == "" && s.network == network && slices.Contains(bundle.Codecs(), s.codec)
}

// lost reports whether a frame, numbered as in the manifest, is damaged as
// far as anybody we honour knows. Without its range table a bundle is of no
// use to a reader who must choose.
func (s *source) lost(number int) bool {
	for _, list := range [][]int{s.damaged, s.doubted} {
		if slices.Contains(list, 0) || slices.Contains(list, number) {
			return true
		}
	}
	return false
}

// setDamage notes whether a frame is damaged.
func (s *source) setDamage(number int, damaged bool) {
	i, found := slices.BinarySearch(s.damaged, number)
	switch {
	case damaged && !found:
		s.damaged, s.learnt = slices.Insert(s.damaged, i, number), true
	case !damaged && found:
		s.damaged, s.learnt = slices.Delete(s.damaged, i, i+1), true
	}
	if !damaged {
		s.read[number] = true
	}
}

// heads answers what our store holds, for the rules of coverage.
type heads interface {
	// head returns the last sequence held of a feed, 0 for none.
	head(feed refs.Feed) int64
	// prefix returns the first bytes of the id of a held message, if they are
	// known.
	prefix(feed refs.Feed, seq int64) (prefix [8]byte, known bool, err error)
}

// judge decides whether a bundle counts for a reader who cannot ask us again
// (spec/stick.md, "Coverage").
type judge struct {
	network [32]byte
	reads   []string // formats and codecs that every receiver reads
	trusts  func(exporter refs.Feed) bool
	store   heads
}

// coverage returns what lies on the medium for everyone to take.
func (j *judge) coverage(sources []*source) (*vector.Ranges, error) {
	var spans []vector.Span
	for _, s := range sources {
		if !j.readable(s) {
			continue
		}
		trusted := j.trusts(s.exporter)
		for i := range s.frames {
			if s.lost(manifestFrame(i)) {
				continue
			}
			for k := range s.frames[i].runs {
				ok, err := j.counts(s, &s.frames[i].runs[k], trusted)
				if err != nil {
					return nil, err
				}
				if r := &s.frames[i].runs[k]; ok {
					spans = append(spans, vector.Span{Feed: r.Feed, First: r.First, Last: r.end()})
				}
			}
		}
	}
	return vector.FromSpans(spans), nil
}

// readable reports whether every receiver can read the bundle, and we did once.
func (j *judge) readable(s *source) bool {
	return s.broken == "" && s.network == j.network && slices.Contains(j.reads, s.codec) && s.checked
}

// counts reports whether a run counts. What agrees once agrees for ever: our
// store removes and replaces nothing.
func (j *judge) counts(s *source, r *run, trusted bool) (bool, error) {
	if r.proved {
		return true, nil
	}
	if !r.agreed && j.store.head(r.Feed) >= r.Last {
		prefix, known, err := j.store.prefix(r.Feed, r.Last)
		if err != nil || known && prefix != [8]byte(r.LastID) {
			return false, err
		}
		if known {
			r.agreed, s.learnt = true, true
		}
	}
	return trusted, nil
}
