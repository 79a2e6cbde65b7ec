package gossip

import (
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/ssbsync/ssbsync/spec/multiserver"
	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/store"
)

// The peer book is a table of the store: the address in multiserver form → a
// JSON object with the fields of Known that have a name in it. Times are shown
// and decide nothing.
const (
	bookTable  = "gossip.peers"
	maxPubs    = 5000  // addresses that only pub messages tell of
	maxBook    = 10000 // addresses
	hopeless   = 10    // failures after which a pub that never answered may go
	maxAddress = 1024  // bytes; what is longer is not taken up
)

// Source says how we came to know an address.
type Source string

// The sources of addresses, in the words of ssb-gossip.
const (
	LAN    Source = "local"  // heard on the LAN
	Manual Source = "manual" // given by the user
	Invite Source = "invite" // accepted an invite
	Seed   Source = "seed"   // from the configuration
	Pub    Source = "pub"    // a pub message tells of it
)

// ErrBookFull says that the peer book takes no more addresses.
var ErrBookFull = errors.New("the peer book is full")

// Known is what the peer book says of one address.
type Known struct {
	Address   string    `json:"-"`
	Feed      refs.Feed `json:"key"`
	Source    Source    `json:"source"`
	Failures  int       `json:"failure,omitempty"`     // in a row
	Successes int       `json:"success,omitempty"`     // connections that stood
	Birth     int64     `json:"birth,omitempty"`       // when it was added, ms since 1970
	Changed   int64     `json:"stateChange,omitempty"` // when it was last tried, ms since 1970
}

// entry is an address and when it may be dialled next.
type entry struct {
	Known
	addr multiserver.Address
	next time.Time // by the injected clock; zero is now
	seen time.Time // of a staged address that expires
}

// book is the peer book.
type book struct {
	table *store.Table

	mu      sync.Mutex
	entries map[string]*entry
	staged  map[string]*entry // heard on the LAN or in a room; not kept
	dirty   map[string]bool   // addresses that the table shows otherwise
	pubs    int
	off     map[Group]bool // switched off
	paused  bool
}

func openBook(s *store.Store) (*book, error) {
	b := &book{
		table:   s.Table(bookTable),
		entries: make(map[string]*entry),
		staged:  make(map[string]*entry),
		dirty:   make(map[string]bool),
		off:     make(map[Group]bool),
	}
	err := b.table.View(func(tx *store.TableTx) error {
		return tx.Each(nil, nil, func(key, value []byte) bool {
			b.load(string(key), value)
			return true
		})
	})
	if err != nil {
		return nil, fmt.Errorf("reading the peer book: %w", err)
	}
	return b, nil
}

// load takes up one row. One that cannot be read is left out.
func (b *book) load(address string, row []byte) {
	all, err := multiserver.Parse(address)
	if err != nil || len(all) != 1 {
		return
	}
	e := &entry{addr: all[0]}
	if json.Unmarshal(row, &e.Known) != nil {
		return
	}
	e.Address = address
	b.put(e)
}

func (b *book) put(e *entry) {
	if e.Source == Pub {
		b.pubs++
	}
	b.entries[e.Address] = e
}

func (b *book) drop(e *entry) {
	if e.Source == Pub {
		b.pubs--
	}
	delete(b.entries, e.Address)
	b.dirty[e.Address] = true
}

// add takes up an address, or notes a better source of one that is there. It
// reports whether anything changed.
func (b *book) add(addr multiserver.Address, feed refs.Feed, source Source, now time.Time) (bool, error) {
	address := addr.String()
	if len(address) > maxAddress {
		return false, errors.New("the address is too long")
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if e := b.entries[address]; e != nil {
		if source == Pub || e.Source == source {
			return false, nil
		}
		b.drop(e)
		e.Source, e.Failures, e.next = source, 0, time.Time{}
		b.put(e)
		return true, nil
	}
	if len(b.entries) >= maxBook || source == Pub && b.pubs >= maxPubs && !b.makeRoom() {
		return false, ErrBookFull
	}
	b.put(&entry{Known: Known{Address: address, Feed: feed, Source: source, Birth: now.UnixMilli()}, addr: addr})
	b.dirty[address] = true
	return true, nil
}

// makeRoom drops a pub that never answered. The caller holds b.mu.
func (b *book) makeRoom() bool {
	for _, e := range b.entries {
		if e.Source == Pub && e.Successes == 0 && e.Failures >= hopeless {
			b.drop(e)
			return true
		}
	}
	return false
}

// remove takes an address off the book and reports whether it was there.
func (b *book) remove(address string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	_, staged := b.staged[address]
	delete(b.staged, address)
	e := b.entries[address]
	if e != nil {
		b.drop(e)
	}
	return staged || e != nil
}

// hear stages an address, and reports whether it is new there. If it expires
// it is to be heard again.
func (b *book) hear(addr multiserver.Address, feed refs.Feed, source Source, now time.Time, expires bool) bool {
	address := addr.String()
	if len(address) > maxAddress {
		return false
	}
	seen := time.Time{}
	if expires {
		seen = now
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if e := b.staged[address]; e != nil {
		e.seen = seen
		return false
	}
	most := maxStaged
	if source == Room { // which can say what it likes
		most /= 2
	}
	if len(b.staged) >= most {
		return false
	}
	b.staged[address] = &entry{
		Known: Known{Address: address, Feed: feed, Source: source, Birth: now.UnixMilli()}, addr: addr, seen: seen}
	return true
}

// unstage takes an address off those that are staged, and reports whether it
// was there and whose it is.
func (b *book) unstage(address string) (feed refs.Feed, staged bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	e := b.staged[address]
	if e == nil {
		return feed, false
	}
	delete(b.staged, address)
	return e.Feed, true
}

// find returns the entry of an address, nil if there is none. The caller holds
// b.mu.
func (b *book) find(address string) *entry {
	if e := b.staged[address]; e != nil {
		return e
	}
	return b.entries[address]
}

// attempted counts a dial.
func (b *book) attempted(address string, stood bool, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	e := b.find(address)
	if e == nil {
		return
	}
	e.Changed = now.UnixMilli()
	if stood {
		e.Successes++
	} else {
		e.Failures++
	}
	b.touch(e)
}

// touch notes that the table shows an entry otherwise.
func (b *book) touch(e *entry) {
	if b.entries[e.Address] == e {
		b.dirty[e.Address] = true
	}
}

// save brings the table up to date.
func (b *book) save() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.dirty) == 0 {
		return nil
	}
	err := b.table.Update(func(tx *store.TableTx) error {
		for address := range b.dirty {
			if err := b.saveOne(tx, address); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("saving the peer book: %w", err)
	}
	clear(b.dirty)
	return nil
}

func (b *book) saveOne(tx *store.TableTx, address string) error {
	e := b.entries[address]
	if e == nil {
		return tx.Delete([]byte(address))
	}
	row, err := json.Marshal(e.Known)
	if err != nil {
		return err
	}
	return tx.Put([]byte(address), row)
}
