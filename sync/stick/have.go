package stick

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/ssbsync/ssbsync/spec/refs"
)

// Holding is what a store holds of one feed: messages 1 to Seq.
type Holding struct {
	Feed   refs.Feed
	Seq    int64   // at least 1
	Prefix [8]byte // first bytes of the id of message Seq, to find forks; zero when only a delta told of it
	Wanted bool    // the store wants more of the feed
}

// Move says what became of a holding of the base of a delta.
type Move struct {
	Index  int   // of the holding
	Gain   int64 // how much higher its Seq is
	Wanted bool  // as it is now
}

// Damage names a bundle of which a store found pieces damaged.
type Damage struct {
	Bundle string // name without suffix
	Frames []int  // damaged frames, ascending; none: the whole bundle
}

// Have is the content of a have file: what a store holds and what it wants,
// signed by its identity. Acknowledgement and request in one.
type Have struct {
	Network  [32]byte  // as in bundles
	Stick    ID        // the medium it was written on
	Identity refs.Feed // who signs
	Store    ID
	Counter  uint64   // of the store; grows with every have it writes anywhere
	Visit    uint64   // 1 + the highest among the haves accepted on the medium
	Base     uint64   // counter of the full have this one completes; 0: full
	BaseSum  [32]byte // SHA-256 of that file; zero when full
	Reads    []string // formats and codecs the store reads, ascending
	Replaces []ID     // former ids of the store, ascending
	WantAll  bool     // the store wants every feed
	Moved    []Move   // of a delta: holdings of the base that are different, ascending
	Holdings []Holding
	Feeds    []refs.Feed // wanted feeds of which it holds nothing, ascending
	Blobs    []refs.Blob // wanted blobs, ascending
	Damaged  []Damage    // ascending names
}

// find returns the index of the feed's holding. Planning an export asks every
// have for every feed: most of its time goes here.
func (h *Have) find(feed refs.Feed) (int, bool) {
	low, high := 0, len(h.Holdings)
	for low < high {
		mid := int(uint(low+high) / 2)
		if bytes.Compare(h.Holdings[mid].Feed[:], feed[:]) < 0 {
			low = mid + 1
		} else {
			high = mid
		}
	}
	return low, low < len(h.Holdings) && h.Holdings[low].Feed == feed
}

// Holds returns the last sequence the store holds of the feed, 0 for none.
func (h *Have) Holds(feed refs.Feed) int64 {
	if i, ok := h.find(feed); ok {
		return h.Holdings[i].Seq
	}
	return 0
}

// Wants reports whether the store wants more of the feed.
func (h *Have) Wants(feed refs.Feed) bool {
	if h.WantAll {
		return true
	}
	if i, ok := h.find(feed); ok {
		return h.Holdings[i].Wanted
	}
	_, ok := slices.BinarySearchFunc(h.Feeds, feed, refs.Feed.Compare)
	return ok
}

// Reading reports whether the store reads a format or codec.
func (h *Have) Reading(name string) bool { return slices.Contains(h.Reads, name) }

// since returns the part of h that base does not say: the holdings that
// changed, and those of other feeds. ok is false when h is no growth of base,
// and must be written in full.
func (h *Have) since(base *Have) (moved []Move, added []Holding, ok bool) {
	i := 0
	for index, b := range base.Holdings {
		for i < len(h.Holdings) && h.Holdings[i].Feed.Compare(b.Feed) < 0 {
			added = append(added, h.Holdings[i])
			i++
		}
		if i == len(h.Holdings) || h.Holdings[i].Feed != b.Feed || h.Holdings[i].Seq < b.Seq {
			return nil, nil, false
		}
		if x := h.Holdings[i]; x.Seq != b.Seq || x.Wanted != b.Wanted {
			moved = append(moved, Move{index, x.Seq - b.Seq, x.Wanted})
		}
		i++
	}
	return moved, append(added, h.Holdings[i:]...), true
}

// over lays a delta over its base: h becomes a full have that knows no id of
// the messages that are new.
func (h *Have) over(base *Have) error {
	all := slices.Clone(base.Holdings)
	for _, m := range h.Moved {
		if m.Index >= len(all) || all[m.Index].Seq+m.Gain > maxSeq {
			return fmt.Errorf("holding %d of its base cannot have moved by %d", m.Index, m.Gain)
		}
		x := &all[m.Index]
		if x.Wanted = m.Wanted; m.Gain > 0 {
			x.Seq, x.Prefix = x.Seq+m.Gain, [8]byte{}
		}
	}
	all = append(all, h.Holdings...)
	slices.SortFunc(all, compareHoldings)
	for i := range all[:max(0, len(all)-1)] {
		if all[i].Feed == all[i+1].Feed {
			return fmt.Errorf("feed %s stands in its base already", all[i].Feed)
		}
	}
	h.Holdings, h.Moved, h.Base, h.BaseSum = all, nil, 0, [32]byte{}
	return nil
}

// sameNews reports whether two full haves of one store say the same: everything
// but when it was said, and ids, which do not change.
func (h *Have) sameNews(o *Have) bool {
	return h.Network == o.Network && h.Stick == o.Stick && h.Identity == o.Identity && h.Store == o.Store &&
		h.WantAll == o.WantAll && slices.Equal(h.Reads, o.Reads) && slices.Equal(h.Replaces, o.Replaces) &&
		slices.EqualFunc(h.Holdings, o.Holdings, Holding.same) && slices.Equal(h.Feeds, o.Feeds) && slices.Equal(h.Blobs, o.Blobs) &&
		slices.EqualFunc(h.Damaged, o.Damaged, func(a, b Damage) bool {
			return a.Bundle == b.Bundle && slices.Equal(a.Frames, b.Frames)
		})
}

func (x Holding) same(y Holding) bool {
	return x.Feed == y.Feed && x.Seq == y.Seq && x.Wanted == y.Wanted
}
