package stick

import (
	"bytes"
	"slices"

	"github.com/ssbsync/ssbsync/spec/refs"
)

// Holding is what a store holds of one feed: messages 1 to Seq.
type Holding struct {
	Feed   refs.Feed
	Seq    int64   // at least 1
	Prefix [8]byte // first bytes of the id of message Seq, to find forks
	Wanted bool    // the store wants more of the feed
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
// changed. ok is false when h is no growth of base, and must be written in
// full.
func (h *Have) since(base *Have) (changed []Holding, ok bool) {
	i := 0
	for _, b := range base.Holdings {
		for i < len(h.Holdings) && h.Holdings[i].Feed.Compare(b.Feed) < 0 {
			changed = append(changed, h.Holdings[i])
			i++
		}
		if i == len(h.Holdings) || h.Holdings[i].Feed != b.Feed {
			return nil, false
		}
		if h.Holdings[i] != b {
			changed = append(changed, h.Holdings[i])
		}
		i++
	}
	return append(changed, h.Holdings[i:]...), true
}

// over returns the holdings of a delta laid over those of its base.
func over(base, changed []Holding) []Holding {
	all := make([]Holding, 0, len(base)+len(changed))
	for len(base) > 0 && len(changed) > 0 {
		switch c := base[0].Feed.Compare(changed[0].Feed); {
		case c < 0:
			all, base = append(all, base[0]), base[1:]
		case c > 0:
			all, changed = append(all, changed[0]), changed[1:]
		default:
			all, base, changed = append(all, changed[0]), base[1:], changed[1:]
		}
	}
	return append(append(all, base...), changed...)
}

// sameNews reports whether two haves of one store say the same: everything
// but when it was said.
func (h *Have) sameNews(o *Have) bool {
	return h.Network == o.Network && h.Stick == o.Stick && h.Identity == o.Identity && h.Store == o.Store &&
		h.WantAll == o.WantAll && slices.Equal(h.Reads, o.Reads) && slices.Equal(h.Replaces, o.Replaces) &&
		slices.Equal(h.Holdings, o.Holdings) && slices.Equal(h.Feeds, o.Feeds) && slices.Equal(h.Blobs, o.Blobs) &&
		slices.EqualFunc(h.Damaged, o.Damaged, func(a, b Damage) bool {
			return a.Bundle == b.Bundle && slices.Equal(a.Frames, b.Frames)
		})
}
