package ecmajson

import "bytes"

// maxIndex is the greatest array index (ECMA-262, "array index").
const maxIndex = 1<<32 - 2

// manyKeys is the size from which a set of keys is a hash table: below, a
// filter and comparisons are faster; above, they are what an attacker wants.
const manyKeys = 32

// keySet is the keys of one open object: scanner.keys[base:].
type keySet struct {
	base   int
	filter uint64 // one bit for each key, by a weak hash
	last   int64  // the last key's array index; plainKeys when it had none
	table  map[string]struct{}
}

const plainKeys = maxIndex + 1

// add reports whether the key that lies in s.src at place may follow the keys
// before: array indexes first, ascending, then others, none of them twice.
func (k *keySet) add(s *scanner, place span) bool {
	key := s.src[place.from:place.to]
	if index, ok := arrayIndex(key); ok {
		ascends := index > k.last
		k.last = index
		return ascends
	}
	k.last = plainKeys
	bit := uint64(1) << (weakHash(key) & 63)
	if k.filter&bit != 0 && k.has(s, key) {
		return false
	}
	k.filter |= bit
	s.keys = append(s.keys, place)
	if k.table != nil {
		k.table[string(key)] = struct{}{}
	}
	return true
}

func (k *keySet) has(s *scanner, key []byte) bool {
	keys := s.keys[k.base:]
	if len(keys) < manyKeys {
		for _, other := range keys {
			if bytes.Equal(key, s.src[other.from:other.to]) {
				return true
			}
		}
		return false
	}
	if k.table == nil {
		k.table = make(map[string]struct{}, 2*len(keys))
		for _, other := range keys {
			k.table[string(s.src[other.from:other.to])] = struct{}{}
		}
	}
	_, found := k.table[string(key)]
	return found
}

func weakHash(key []byte) int {
	if len(key) == 0 {
		return 0
	}
	return len(key) + 5*int(key[0]) + 11*int(key[len(key)-1]) + 3*int(key[len(key)/2])
}

// arrayIndex returns the value of a key that is a canonical array index: the
// decimal form of 0 to 2^32-2, without leading zeros.
func arrayIndex(key []byte) (int64, bool) {
	if len(key) == 0 || len(key) > 10 || key[0] == '0' && len(key) > 1 {
		return 0, false
	}
	var n int64
	for _, c := range key {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = 10*n + int64(c-'0')
	}
	return n, n <= maxIndex
}
