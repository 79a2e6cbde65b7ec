package keys

import (
	"hash/maphash"
	"sync/atomic"

	"github.com/oasisprotocol/curve25519-voi/primitives/ed25519"

	"github.com/ssbsync/ssbsync/spec/refs"
)

const (
	cacheSets = 1 << 10 // sets of keys
	cacheWays = 8       // keys in a set; 8192 keys of 1.5 KiB in all
	seenMarks = 1 << 15 // marks of keys that were met once, 4 bytes each
)

// keyCache is a set-associative cache of expanded public keys. What it reads
// and writes are single words: there are no locks, and once the keys of a feed
// are in, nothing is written. A lost race loses an entry, never gives a wrong
// one, since entries do not change and carry their key.
//
// The hash is seeded, so nobody can choose keys that meet in one set.
type keyCache struct {
	seed maphash.Seed
	sets [cacheSets][cacheWays]atomic.Pointer[cachedKey]
	once [seenMarks]atomic.Uint32
}

// cachedKey never changes.
type cachedKey struct {
	feed     refs.Feed
	expanded *ed25519.ExpandedPublicKey
}

func newKeyCache() *keyCache { return &keyCache{seed: maphash.MakeSeed()} }

// keySlot is where in the cache a key belongs.
type keySlot struct {
	set  *[cacheWays]atomic.Pointer[cachedKey]
	mark *atomic.Uint32
	tag  uint32 // stands for the key in mark; never zero
	way  int    // what gives way to the key in a full set
}

// slot finds the place of a feed's key. It takes different bits of one hash
// for the set, the mark, the tag and the way.
func (c *keyCache) slot(feed *refs.Feed) keySlot {
	h := maphash.Bytes(c.seed, feed[:])
	return keySlot{
		set:  &c.sets[h%cacheSets],
		mark: &c.once[h>>10%seenMarks],
		tag:  uint32(h>>32) | 1,
		way:  int(h >> 25 % cacheWays),
	}
}

// get returns the expanded key of feed, nil if it is not there.
func (s keySlot) get(feed *refs.Feed) *ed25519.ExpandedPublicKey {
	for i := range s.set {
		if k := s.set[i].Load(); k != nil && k.feed == *feed {
			return k.expanded
		}
	}
	return nil
}

// put remembers a key, in place of another if the set is full.
func (s keySlot) put(feed *refs.Feed, expanded *ed25519.ExpandedPublicKey) {
	k := &cachedKey{feed: *feed, expanded: expanded}
	for i := range s.set {
		if s.set[i].CompareAndSwap(nil, k) {
			return
		}
	}
	s.set[s.way].Store(k)
}

// seen reports whether the key was marked, unless another key took its mark.
func (s keySlot) seen() bool { return s.mark.Load() == s.tag }

// markSeen marks the key.
func (s keySlot) markSeen() { s.mark.Store(s.tag) }
