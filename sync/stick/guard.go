package stick

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/ssbsync/ssbsync/spec/message"
	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/store"
)

// GuardStatus says whether the own feed may be published to.
type GuardStatus struct {
	// Locked: a message signed by our key turned up that our store lacked.
	// The store is behind what was published, and publishing would fork the
	// feed.
	Locked bool `json:"locked"`
	// Reason is what else it is locked for; empty when messages turned up.
	Reason LockReason `json:"reason,omitempty"`
	// Forked: two different own messages of one sequence are known. Nothing
	// lifts this.
	Forked bool `json:"forked,omitempty"`
	// Seen is the highest own sequence that was proved to exist.
	Seen int64 `json:"seen,omitempty"`
	// Claimed is the highest own sequence that somebody claims to hold.
	Claimed int64 `json:"claimed,omitempty"`
	// Signed is the highest one that a claim signed by our own key names.
	Signed int64 `json:"signed,omitempty"`
	// Dismissed is the highest signed claim the user has recovered from: what
	// was lost up to there is lost, and no longer a reason to lock.
	Dismissed int64 `json:"dismissed,omitempty"`
	// Asked names the sticks and peers that were asked for own messages since.
	Asked []string `json:"asked,omitempty"`
}

// LockReason says why publishing was locked, other than by messages of our own
// that turned up.
type LockReason string

const (
	LockRestored LockReason = "restored" // the store was put back from a backup
	LockMoved    LockReason = "moved"    // a backup took the identity to another machine
)

// Why says for the user why publishing is locked.
func (s GuardStatus) Why() string {
	switch {
	case s.Reason == LockMoved:
		return "the identity was moved elsewhere by a backup"
	case s.Seen == 0 && s.Signed == 0 && s.Reason == LockRestored:
		return "this store was restored from a backup, and may lack the newest messages of your feed"
	}
	return "messages signed by your identity turned up that this store lacked"
}

// ErrLocked says that publishing is refused until the user has recovered the
// own feed.
var ErrLocked = errors.New("publishing is locked")

// Guard keeps the own feed from being forked by a store that was restored
// from a copy or runs twice. Its state is in the store, so it outlives the
// process. It is safe for concurrent use.
type Guard struct {
	table *store.Table
	store *store.Store
	own   refs.Feed

	mu     sync.Mutex
	loaded bool
	state  GuardStatus
}

const (
	guardTable = "stick.guard"
	guardKey   = "state"
	maxAsked   = 100
)

// NewGuard returns the guard of the own feed.
func NewGuard(s *store.Store, own refs.Feed) *Guard {
	return &Guard{table: s.Table(guardTable), store: s, own: own}
}

// Prove is called with every own message that came in from outside and that
// the store lacked, whatever way it came (ingest.Config.OnOwn): it locks
// publishing.
func (g *Guard) Prove(m *message.Message) error {
	if m.Feed() != g.own {
		return nil
	}
	return g.change(func(s *GuardStatus) bool {
		news := !s.Locked || s.Seen == 0
		s.Locked, s.Seen = true, max(s.Seen, m.Seq())
		return news
	})
}

// Claim notes that somebody claims to hold the own feed up to seq. A claim
// signed by our own key is proof as well: nobody else can make it.
func (g *Guard) Claim(seq int64, signed bool) error {
	head, err := g.store.Head(g.own)
	if err != nil || seq <= head.Seq {
		return err
	}
	return g.change(func(s *GuardStatus) bool {
		if seq <= s.Dismissed {
			return false
		}
		news := seq > s.Claimed
		s.Claimed = max(s.Claimed, seq)
		if signed {
			news = news || seq > s.Signed || !s.Locked
			s.Signed, s.Locked = max(s.Signed, seq), true
		}
		return news
	})
}

// Asked notes a stick or peer that was asked for own messages while
// publishing is locked.
func (g *Guard) Asked(who string) error {
	return g.change(func(s *GuardStatus) bool {
		if !s.Locked || slices.Contains(s.Asked, who) || len(s.Asked) >= maxAsked {
			return false
		}
		s.Asked = append(s.Asked, who)
		return true
	})
}

// Status returns the present state.
func (g *Guard) Status() (GuardStatus, error) {
	frozen, err := g.store.Frozen(g.own)
	if err != nil {
		return GuardStatus{}, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if err := g.load(); err != nil {
		return GuardStatus{}, err
	}
	s := g.state
	s.Asked = slices.Clone(s.Asked)
	s.Forked = frozen
	return s, nil
}

// Check returns nil when publishing is allowed, and ErrLocked when it is not.
func (g *Guard) Check() error {
	s, err := g.Status()
	switch {
	case err != nil:
		return err
	case s.Forked:
		return fmt.Errorf("the own feed %s is forked: nothing more can be published", g.own)
	case s.Locked:
		return fmt.Errorf("%w: %s", ErrLocked, s.Why())
	}
	return nil
}

// RecoverDone lifts the lock: the user says that whatever could be fetched
// was fetched.
func (g *Guard) RecoverDone() error {
	return g.change(func(s *GuardStatus) bool {
		*s = GuardStatus{Dismissed: max(s.Dismissed, s.Signed)}
		return true
	})
}

// Lock locks publishing for another reason than messages that turned up.
func (g *Guard) Lock(why LockReason) error {
	return g.change(func(s *GuardStatus) bool {
		news := !s.Locked || s.Reason != why
		s.Locked, s.Reason = true, why
		return news
	})
}

// change applies fn to the state and writes it when fn says that it matters.
// What fn changed besides is kept in memory until then. A change that cannot be
// written counts only if it locks.
func (g *Guard) change(fn func(*GuardStatus) bool) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if err := g.load(); err != nil {
		return err
	}
	next := g.state
	next.Asked = slices.Clone(next.Asked)
	if !fn(&next) {
		g.state = next
		return nil
	}
	b, err := json.Marshal(next)
	if err == nil {
		err = g.table.Put([]byte(guardKey), b)
	}
	if err == nil || next.Locked {
		g.state = next
	}
	if err != nil {
		return fmt.Errorf("keeping the state of the own-feed guard: %w", err)
	}
	return nil
}

// load reads the state once. The caller holds g.mu.
func (g *Guard) load() error {
	if g.loaded {
		return nil
	}
	b, err := g.table.Get([]byte(guardKey))
	if err == nil {
		err = json.Unmarshal(b, &g.state)
	} else if errors.Is(err, store.ErrNotFound) {
		err = nil
	}
	if err != nil {
		return fmt.Errorf("reading the state of the own-feed guard: %w", err)
	}
	g.loaded = true
	return nil
}
