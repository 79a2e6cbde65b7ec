// Package ingest is the one way by which messages get into the store. Peers,
// bundles, files and the user's own publishing all hand over bytes; only what
// is valid, wanted and next in its feed is stored.
//
//	source ─ Add ─┐                 ┌ verify ┐
//	source ─ Add ─┼─ batches by ────┼ verify ┼─ order of each ─ one writer ─ Flush
//	source ─ Add ─┘  intake, bounded└ verify ┘  intake back     in groups
//
// Each source has an Intake. What it hands over collects in a batch for as
// long as all workers are busy, so batches grow under load and a lone message
// goes on at once. Workers verify batches in parallel, outside of every lock
// that matters. The batches of one intake come out in the order in which they
// went in, and the single writer commits them in groups: thousands of messages
// while there is more to come, at once when the pipeline is idle or somebody
// waits in Flush.
//
// A valid message that does not attach, because what lies before it is
// missing, waits in the store within bounds. When its feed's head moves it
// goes through the pipeline again.
//
// Bad input is counted, named and never stops anything. Where there is no room
// for more messages, the intakes that brought some are over (ErrNoRoom); the
// pipeline goes on. A store that fails in any other way stops it for good: see
// ErrStopped.
package ingest

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	"github.com/ssbsync/ssbsync/spec/keys"
	"github.com/ssbsync/ssbsync/spec/message"
	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/store"
)

// ErrStopped is what every call returns once the pipeline takes nothing more:
// because the context of Run ended, or because the store failed; then the
// store's error is wrapped too.
var ErrStopped = errors.New("taking in messages has stopped")

// ErrNoRoom is what an Intake returns once messages of it could not be stored
// because the disk is full, or Config.Room said so. The intake is over: its
// source can be read again through another one when there is room.
var ErrNoRoom = errors.New("no room for more messages")

// Store is what the pipeline needs of a *store.Store.
type Store interface {
	Append([]*message.Message) ([]store.Result, error)
	Head(refs.Feed) (message.Head, error)
	Frozen(refs.Feed) (bool, error)
	Get(refs.Feed, int64) (store.Record, error)
	Holds([]store.Record, []bool) error

	AddWaiting([]*message.Message, store.WaitingLimits) (store.WaitingResult, error)
	RemoveWaiting([]store.Record) error
	WaitingFor(feed refs.Feed, from int64, limit int) ([]store.Record, error)
	WaitingOf(refs.Feed) (store.WaitingFeed, error)
	WaitingFeeds(after refs.Feed, limit int) ([]store.WaitingFeed, error)
}

// Config says where messages go and within which bounds. Store must be set;
// the zero value of everything else is a good choice.
type Config struct {
	Store Store
	Net   *keys.HMAC // nil for the main network

	// Verifier may be shared with others; nil makes one.
	Verifier *keys.Verifier

	// Waiting bounds the messages that wait for those before them.
	Waiting store.WaitingLimits

	// Own, when not zero, is the identity's feed, and OnOwn is called with each
	// verified message of it that came in by an Intake and that the store
	// lacked. It is called by the writer, before the message is stored and before
	// any Publish that follows.
	Own   refs.Feed
	OnOwn func(*message.Message)

	// Room, if set, is asked before messages that came in by an Intake are
	// stored; an error, which says what is full, refuses them. The user's own
	// publishing is not asked for.
	Room func() error

	Workers int   // goroutines that verify; 0 = GOMAXPROCS
	Memory  int64 // bound of the bytes on their way; 0 = 24 MiB

	BatchMessages int // most messages verified at once; 0 = 2,048
	GroupMessages int // most messages of a commit; 0 = 16,384
}

// Bounds that have no switch.
const (
	defaultMemory        = 24 << 20
	defaultBatchMessages = 2048 // what keys.Verifier verifies together
	defaultGroupMessages = 16384

	// batchBytes bounds the raw bytes of a batch that holds several messages.
	batchBytes = 2 << 20

	// overhead is what a message on its way takes beside its bytes.
	overhead = 320
)

// Pipeline takes messages in. Make one with New.
type Pipeline struct {
	cfg  Config
	gate gate
	wake chan struct{} // capacity 1: there is something for the writer
	shut chan struct{} // closed when nothing more is taken
	done chan struct{} // closed when Run returns

	mu        sync.Mutex
	work      sync.Cond      // on mu: there is something for a worker, or closed
	running   bool           // Run was called
	closed    bool           // shut is closed
	err       error          // why, when the store failed
	ready     []*Intake      // that have batches for a worker, each once
	active    int            // batches not yet delivered to the writer
	delivered []*batch       // verified, for the writer
	lastWork  time.Time      // when something was delivered last
	publishes []*publication // for the writer
	flushing  map[*Intake]int
	spares    spares

	self    *Intake // on whose account retries go that no intake caused
	waiting waiting // of the writer
}

// New returns a pipeline that does nothing until Run is called.
func New(cfg Config) *Pipeline {
	if cfg.Verifier == nil {
		cfg.Verifier = keys.NewVerifier()
	}
	if cfg.Workers <= 0 {
		cfg.Workers = runtime.GOMAXPROCS(0)
	}
	if cfg.Memory <= 0 {
		cfg.Memory = defaultMemory
	}
	cfg.Memory = max(cfg.Memory, message.MaxRaw+overhead)
	if cfg.BatchMessages <= 0 {
		cfg.BatchMessages = defaultBatchMessages
	}
	if cfg.GroupMessages <= 0 {
		cfg.GroupMessages = defaultGroupMessages
	}
	p := &Pipeline{
		cfg:      cfg,
		wake:     make(chan struct{}, 1),
		shut:     make(chan struct{}),
		done:     make(chan struct{}),
		flushing: make(map[*Intake]int),
	}
	p.work.L = &p.mu
	p.gate.free = cfg.Memory
	p.gate.shut = p.shut
	p.self = p.Open(Source{Name: "waiting messages"})
	return p
}

// Run verifies and stores what is handed over until ctx ends. Then it takes
// nothing more, commits what was handed over, and returns nil. It returns
// early with the store's error when the store fails. It may be called once.
func (p *Pipeline) Run(ctx context.Context) error {
	p.mu.Lock()
	if p.running {
		p.mu.Unlock()
		return errors.New("the pipeline was started before")
	}
	p.running = true
	p.mu.Unlock()
	defer close(p.done)
	defer context.AfterFunc(ctx, func() { p.close(nil) })()

	var workers sync.WaitGroup
	for range p.cfg.Workers {
		workers.Go(p.verify)
	}
	err := p.write()
	p.close(err)
	workers.Wait()
	return err
}

// close makes the pipeline take nothing more. With an error it also gives up
// what is on its way.
func (p *Pipeline) close(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err == nil {
		p.err = err
	}
	if !p.closed {
		p.closed = true
		close(p.shut)
	}
	p.work.Broadcast()
	p.signal()
}

// signal tells the writer to look.
func (p *Pipeline) signal() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// stopped returns the error of whoever comes too late.
func (p *Pipeline) stopped() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stoppedLocked()
}

func (p *Pipeline) stoppedLocked() error {
	if p.err != nil {
		return fmt.Errorf("%w: %w", ErrStopped, p.err)
	}
	return ErrStopped
}
