package views

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/store"
)

// MaxSorted bounds the messages that are sorted by time for one answer. It is
// far more than 32 MiB of them.
const MaxSorted = 2 << 20

// ErrTooMany is what sorting more than MaxSorted messages gives.
var ErrTooMany = errors.New("too many messages to sort by time")

// Page returns messages that have a term between the receive numbers after and
// before, both excluded, in receive order or backwards: about limit of them,
// none when there are no more. before 0 is open.
func (v *Views) Page(t Term, after, before uint64, limit int, reverse bool) ([]Hit, error) {
	var hits []Hit
	err := v.view(tableTerms, func(tx *store.TableTx) error {
		last, err := cursorIn(tx)
		if err != nil {
			return err
		}
		if before == 0 || before > last+1 {
			before = last + 1
		}
		if before <= after+1 {
			return nil
		}
		low, high := (after+1)/BlockSize, (before-1)/BlockSize
		for n := uint64(0); n <= high-low && len(hits) < limit; n++ {
			block := low + n
			if reverse {
				block = high - n
			}
			found, err := inBlock(tx, t, block)
			if err != nil {
				return err
			}
			slices.SortFunc(found, func(a, b Hit) int { return cmp.Compare(a.Rx, b.Rx) })
			if reverse {
				slices.Reverse(found)
			}
			for i, h := range found {
				if h.Rx > after && h.Rx < before && (i == 0 || found[i-1].Rx != h.Rx) {
					hits = append(hits, h)
				}
			}
		}
		return nil
	})
	return hits, err
}

// inBlock returns the messages of a block that have a term, in any order.
func inBlock(tx *store.TableTx, t Term, block uint64) (hits []Hit, err error) {
	if t.key == "" {
		return nil, nil
	}
	key := rowKey(block, t.key)
	var failed error
	err = tx.Each(key, nil, func(found, list []byte) bool {
		if !t.prefix && len(found) != len(key) {
			return false
		}
		failed = eachPosting(list, block, timed(t.key[0]), func(h Hit) { hits = append(hits, h) })
		return t.prefix && failed == nil
	})
	return hits, errors.Join(err, failed)
}

// Sorted returns all messages that have a term and whose time lies in
// [from, to], up to a receive number, by time and receive number.
func (v *Views) Sorted(t Term, from, to float64, last uint64) ([]Hit, error) {
	var all []Hit
	for after := uint64(0); ; {
		page, err := v.Page(t, after, last+1, BlockSize, false)
		if err != nil {
			return nil, err
		}
		if len(page) == 0 {
			break
		}
		for _, h := range page {
			if h.At >= from && h.At <= to {
				all = append(all, h)
			}
		}
		if after = page[len(page)-1].Rx; len(all) > MaxSorted {
			return nil, fmt.Errorf("%w (more than %d)", ErrTooMany, MaxSorted)
		}
	}
	slices.SortFunc(all, func(a, b Hit) int { return cmp.Or(cmp.Compare(a.At, b.At), cmp.Compare(a.Rx, b.Rx)) })
	return all, nil
}

// Search returns the receive numbers below before of the newest messages of
// whose text each of the words is the beginning of a word, the newest first: at
// most limit. before 0 is open.
func (v *Views) Search(words []string, before uint64, limit int) (found []uint64, err error) {
	if len(words) == 0 {
		return nil, nil
	}
	if before == 0 {
		before = math.MaxUint64
	}
	err = v.view(tableTerms, func(tx *store.TableTx) error {
		last, err := cursorIn(tx)
		if err != nil {
			return err
		}
		last = min(last, before-1)
		for block := int64(last / BlockSize); block >= 0 && len(found) < limit; block-- {
			set, err := wordsInBlock(tx, words, uint64(block))
			if err != nil {
				return err
			}
			for i := BlockSize - 1; i >= 0 && len(found) < limit; i-- {
				if rx := uint64(block)*BlockSize + uint64(i); rx <= last && set.has(i) {
					found = append(found, rx)
				}
			}
		}
		return nil
	})
	return found, err
}

// bits is a set of messages of a block.
type bits [BlockSize / 64]uint64

func (b *bits) has(i int) bool { return b[i/64]&(1<<(i%64)) != 0 }

// wordsInBlock returns the messages of a block that have all words.
func wordsInBlock(tx *store.TableTx, words []string, block uint64) (set bits, err error) {
	for i, word := range words {
		var with bits
		hits, err := inBlock(tx, Term{key: string(kindWord) + word, prefix: true}, block)
		if err != nil || len(hits) == 0 {
			return bits{}, err
		}
		for _, h := range hits {
			with[h.Rx%BlockSize/64] |= 1 << (h.Rx % 64)
		}
		for j := range set {
			if i > 0 {
				with[j] &= set[j]
			}
		}
		set = with
	}
	return set, nil
}

// Matches reports whether each of the words is the beginning of a word of text.
func Matches(words []string, text string) bool {
	all := Words(text)
	for _, word := range words {
		if !slices.ContainsFunc(all, func(w string) bool { return strings.HasPrefix(w, word) }) {
			return false
		}
	}
	return true
}

// Naming is what a feed calls another, or the image that it gives it.
type Naming struct {
	From, To refs.Feed
	Text     []byte // as it is spelt in JSON, without quotes
}

// EachName calls yield with the names that feeds give to feeds, ordered by who
// gives them; of one feed with from set.
func (v *Views) EachName(from *refs.Feed, yield func(Naming)) error {
	return v.eachNaming(tableNames, from, yield)
}

// EachImage is EachName for images: ids of blobs.
func (v *Views) EachImage(from *refs.Feed, yield func(Naming)) error {
	return v.eachNaming(tableImages, from, yield)
}

func (v *Views) eachNaming(table string, from *refs.Feed, yield func(Naming)) error {
	var prefix []byte
	if from != nil {
		prefix = from[:]
	}
	return v.view(table, func(tx *store.TableTx) error {
		return tx.Each(prefix, nil, func(key, value []byte) bool {
			if len(key) == 64 && len(value) > 8 {
				yield(Naming{refs.Feed(key[:32]), refs.Feed(key[32:]), slices.Clone(value[8:])})
			}
			return true
		})
	})
}

// eachElement calls yield with the elements of an array.
func eachElement(array []byte, yield func([]byte)) {
	var elements []json.RawMessage
	if json.Unmarshal(array, &elements) == nil {
		for _, element := range elements {
			yield(element)
		}
	}
}
