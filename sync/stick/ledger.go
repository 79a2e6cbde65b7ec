package stick

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/store"
)

// The tables of the ledger. It spares reading again what was read before; it
// never is a reason to leave out what our store lacks, and may be deleted.
const (
	// bundleTable: 16 stick, 26 name → what we know of the bundle there.
	bundleTable = "stick.bundles"
	// haveTable: 16 stick, 32 identity, 16 store → its newest have there.
	haveTable = "stick.haves"
	// ownTable holds our own counter and former store ids: this part is no
	// cache.
	ownTable = "stick.own"
	// partTable: 16 stick, name → size and the visits that saw it unchanged.
	partTable = "stick.parts"
)

// Keys of ownTable.
var (
	counterKey  = []byte("counter")
	replacesKey = []byte("replaces")
)

// ledger remembers in the store what was learnt of media.
type ledger struct{ store *store.Store }

func newLedger(s *store.Store) *ledger { return &ledger{s} }

// maxDoubters bounds the haves remembered that doubted one bundle.
const maxDoubters = 64

// encode writes a source for the ledger: 1 byte whether it was checked, size,
// damaged frames, answered haves, facts.
func (s *source) encode() []byte {
	b := []byte{0}
	if s.checked {
		b[0] = 1
	}
	b = binary.AppendUvarint(b, uint64(s.size))
	b = appendList(b, s.damaged, func(b []byte, n int) []byte { return binary.AppendUvarint(b, uint64(n)) })
	b = appendList(b, s.answered, func(b []byte, f haveFile) []byte {
		return binary.AppendUvarint(append(b, f.Store[:]...), f.Counter)
	})
	return append(b, s.facts.encode()...)
}

// decodeSource reads what encode wrote.
func decodeSource(name string, b []byte) (*source, error) {
	d := &decoder{rest: b}
	s := &source{checked: d.bool()}
	s.size = int64(d.number())
	s.damaged = d.frames()
	s.answered = decodeColumn(d, maxDoubters, 17, func(d *decoder) haveFile { return haveFile{d.id(), d.number()} })
	if d.err != nil {
		return nil, d.err
	}
	var err error
	s.facts, err = decodeFacts(name, d.rest)
	return s, err
}

func bundleKey(stick ID, name string) []byte { return append(stick[:], name...) }

// bundles returns what is known of the bundles on a stick, by name. Entries
// that cannot be read are left out: the bundle is opened again.
func (l *ledger) bundles(stick ID) (map[string]*source, error) {
	known := make(map[string]*source)
	err := l.store.Table(bundleTable).View(func(tx *store.TableTx) error {
		return tx.Each(stick[:], nil, func(key, value []byte) bool {
			name := string(key[len(stick):])
			if s, err := decodeSource(name, value); err == nil && isBundleName(name) {
				known[name] = s
			}
			return true
		})
	})
	return known, err
}

// keep writes what was learnt of the sources, and forgets the bundles of the
// stick that are gone.
func (l *ledger) keep(stick ID, sources []*source, gone []string) error {
	var rows []store.Entry
	for _, s := range sources {
		if !s.learnt || s.broken != "" {
			continue
		}
		// A range table may be far larger than the file that holds it; such
		// bundles are opened at every visit.
		if value := s.encode(); int64(len(value)) <= max(s.size, 1<<16) {
			rows = append(rows, store.Entry{Key: bundleKey(stick, s.name), Value: value})
		}
		s.learnt = false
	}
	if len(rows) == 0 && len(gone) == 0 || stick == (ID{}) {
		return nil
	}
	return l.store.Table(bundleTable).Update(func(tx *store.TableTx) error {
		for _, row := range rows {
			if err := tx.Put(row.Key, row.Value); err != nil {
				return err
			}
		}
		for _, name := range gone {
			if err := tx.Delete(bundleKey(stick, name)); err != nil {
				return err
			}
		}
		return nil
	})
}

// writer names who wrote a have: an identity may run several stores, and
// nobody speaks for a store of another identity.
type writer struct {
	identity refs.Feed
	store    ID
}

func haveKey(stick ID, w writer) []byte {
	return append(append(append([]byte{}, stick[:]...), w.identity[:]...), w.store[:]...)
}

// haves returns the newest have of each writer on a stick.
func (l *ledger) haves(stick ID) (map[writer]*Have, error) {
	haves := make(map[writer]*Have)
	err := l.eachHave(stick[:], func(h *Have) { haves[h.writer()] = h })
	return haves, err
}

// eachHave calls fn with the haves whose key begins with prefix.
func (l *ledger) eachHave(prefix []byte, fn func(*Have)) error {
	return l.store.Table(haveTable).View(func(tx *store.TableTx) error {
		return tx.Each(prefix, nil, func(key, value []byte) bool {
			if h, err := parseBody(value); err == nil {
				fn(h)
			}
			return true
		})
	})
}

// keepHaves remembers the newest haves on a stick and forgets writers.
func (l *ledger) keepHaves(stick ID, news []*Have, gone []writer) error {
	if len(news) == 0 && len(gone) == 0 {
		return nil
	}
	return l.store.Table(haveTable).Update(func(tx *store.TableTx) error {
		for _, w := range gone {
			if err := tx.Delete(haveKey(stick, w)); err != nil {
				return err
			}
		}
		for _, h := range news {
			if err := tx.Put(haveKey(stick, h.writer()), h.body()); err != nil {
				return err
			}
		}
		return nil
	})
}

func (h *Have) writer() writer { return writer{h.Identity, h.Store} }

// counter returns the counter of the last have we wrote anywhere.
func (l *ledger) counter() (uint64, error) {
	b, err := l.get(counterKey)
	if err != nil || len(b) == 0 {
		return 0, err
	}
	if len(b) != 8 {
		return 0, fmt.Errorf("have counter in the store has %d bytes", len(b))
	}
	return binary.BigEndian.Uint64(b), nil
}

// setCounter makes n durable before a have with that counter is written, so
// that no counter is used twice.
func (l *ledger) setCounter(n uint64) error {
	return l.store.Table(ownTable).Put(counterKey, binary.BigEndian.AppendUint64(nil, n))
}

// replaces returns the former ids of our store, ascending.
func (l *ledger) replaces() ([]ID, error) {
	b, err := l.get(replacesKey)
	if err != nil {
		return nil, err
	}
	d := &decoder{rest: b}
	if len(b) == 0 {
		return nil, nil
	}
	return decodeList(d, "replaced store", 1<<16, 16, (*decoder).id, ID.compare), d.err
}

func (l *ledger) setReplaces(ids []ID) error {
	b := appendList(nil, ids, func(b []byte, id ID) []byte { return append(b, id[:]...) })
	return l.store.Table(ownTable).Put(replacesKey, b)
}

// get reads a row of ownTable, empty when there is none.
func (l *ledger) get(key []byte) ([]byte, error) {
	b, err := l.store.Table(ownTable).Get(key)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	return b, err
}
