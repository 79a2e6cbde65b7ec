package gossip

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ssbsync/ssbsync/spec/muxrpc"
	"github.com/ssbsync/ssbsync/sync/ingest"
)

// Protocol is how feeds are replicated over a session.
type Protocol string

// The protocols.
const (
	NoProtocol Protocol = ""
	EBT        Protocol = "ebt"
	History    Protocol = "history"
)

var (
	errNoEBT    = errors.New("peer has no ebt.replicate version 3")
	errUnasked  = errors.New("peer sent too many messages that it was not asked for")
	errBad      = errors.New("peer sent too many messages that are not valid")
	errRepeats  = errors.New("peer sent too many messages that we have")
	errNotNotes = errors.New("peer sent a frame that is neither notes nor a message")
	errEBTEnded = errors.New("peer ended ebt.replicate")
	errEBTTwice = errors.New("ebt.replicate runs already")
)

// exchange is the replication over one session: by EBT, or by history until
// EBT begins.
type exchange struct {
	s      *session
	rep    *replicator
	intake *ingest.Intake

	wake    chan struct{} // capacity 1: EBT may have something to send
	account chan struct{} // capacity 1: a tick passed
	renew   chan struct{} // capacity 1: the policy changed
	started chan struct{} // closed when the client began EBT

	mu       sync.Mutex
	protocol Protocol
	ebt      bool // began, or has been
	sum      ingest.Summary

	touched  atomic.Bool  // something was received since the last account
	received atomic.Int64 // messages that were asked for
	sent     atomic.Int64
	refused  atomic.Int64 // never asked for
	rejected atomic.Int64 // bad input
}

func newExchange(s *session) *exchange {
	x := &exchange{
		s:       s,
		rep:     s.g.rep,
		wake:    make(chan struct{}, 1),
		account: make(chan struct{}, 1),
		renew:   make(chan struct{}, 1),
		started: make(chan struct{}),
	}
	x.intake = s.g.cfg.Ingest.Open(ingest.Source{
		Name:     "peer " + s.remote.String(),
		Accept:   s.g.cfg.Policy.Wants,
		OnReject: x.reject,
	})
	return x
}

// replicate runs the protocols until the session is over.
func (s *session) replicate() {
	x := s.feeds
	x.rep.attach(x)
	defer x.rep.detach(x)
	var group sync.WaitGroup
	group.Go(x.accounts)
	defer group.Wait()
	if !s.inbound {
		err := x.callEBT(s.ctx)
		s.g.cfg.Log.Debug("ebt.replicate ended", "peer", s.remote, "err", err)
		if !errors.Is(err, errNoEBT) {
			s.cancel(err)
			return
		}
		if s.inRoom(s.ctx) {
			<-s.ctx.Done() // a room has no feeds
			return
		}
	} else if x.waitForEBT(s.ctx) {
		return
	}
	if err := x.history(s.ctx); err != nil {
		s.cancel(err)
	}
}

// waitForEBT reports whether the client began EBT in time.
func (x *exchange) waitForEBT(ctx context.Context) bool {
	grace := time.NewTimer(x.s.g.cfg.Limits.Grace)
	defer grace.Stop()
	select {
	case <-x.started:
		return true
	case <-ctx.Done():
		return true
	case <-grace.C:
		return false
	}
}

// callEBT is the client's side.
func (x *exchange) callEBT(ctx context.Context) error {
	st, err := x.s.mux.Duplex(ctx, "ebt.replicate", ebtOptions{Version: ebtVersion, Format: ebtFormat})
	if err != nil {
		return err
	}
	defer st.Close(nil)
	return x.runEBT(ctx, st, true)
}

// The only kind of EBT there is here.
const (
	ebtVersion = 3
	ebtFormat  = "classic"
)

// ebtOptions are the argument of ebt.replicate.
type ebtOptions struct {
	Version float64 `json:"version"`
	Format  string  `json:"format,omitempty"`
}

// ServeEBT serves ebt.replicate, a duplex, to the client of a session.
func (g *Gossip) ServeEBT(ctx context.Context, c *muxrpc.Call, st *muxrpc.Stream) error {
	s, err := callerOf(ctx)
	if err != nil || s.kind != peerKind {
		return errors.New("ebt.replicate: only for peers")
	}
	var o ebtOptions
	if err := c.DecodeArgs(&o); err != nil {
		return err
	}
	if o.Version != ebtVersion {
		return errors.New("expected ebt.replicate({version: 3})")
	}
	if o.Format != "" && o.Format != ebtFormat {
		//lint:ignore ST1005 the words of ssb-ebt
		return fmt.Errorf("Unknown format: %.40s", o.Format)
	}
	err = s.feeds.runEBT(ctx, st, false)
	g.cfg.Log.Debug("ebt.replicate ended", "peer", s.remote, "err", err)
	if misbehaved(err) {
		s.cancel(err)
	}
	return err
}

// begin notes that EBT runs. It can once in a session.
func (x *exchange) begin(client bool) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.ebt {
		return errEBTTwice
	}
	x.ebt = true
	x.protocol = EBT
	if !client { // a client does not know yet whether the other side has EBT
		close(x.started)
	}
	return nil
}

// speaks notes by which protocol feeds are replicated.
func (x *exchange) speaks(p Protocol) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.protocol = p
}

// add hands a message to the pipeline.
func (x *exchange) add(ctx context.Context, raw []byte) error {
	if !x.touched.Load() {
		x.touched.Store(true)
	}
	x.received.Add(1)
	x.rep.busy.Add(1)
	err := x.intake.Add(ctx, raw)
	x.rep.busy.Add(-1)
	return err
}

// unasked counts a message that was not asked for, and says when there were too
// many.
func (x *exchange) unasked() error {
	x.touched.Store(true)
	if x.refused.Add(1) > x.s.g.cfg.Limits.Refused+x.received.Load() {
		return errUnasked
	}
	return nil
}

// reject is told by the pipeline of a message that is bad input.
func (x *exchange) reject(r ingest.Reject) {
	x.rep.refuse(x, r.Feed)
	if n := x.rejected.Add(1); n <= 3 {
		x.s.g.cfg.Log.Info("a peer sent a message that is not valid", "peer", x.s.remote, "feed", r.Feed, "seq", r.Seq, "reason", r.Reason)
	} else if n > x.s.g.cfg.Limits.Rejected {
		x.s.cancel(errBad)
	}
}

// accounts asks the pipeline at each tick what became of what came, until the
// session ends.
func (x *exchange) accounts() {
	for {
		select {
		case <-x.account:
		case <-x.s.ctx.Done():
			return
		}
		if x.touched.CompareAndSwap(true, false) && x.settle(x.s.ctx) != nil {
			return
		}
	}
}

// settle waits until what came is stored or not, and looks at the outcome.
func (x *exchange) settle(ctx context.Context) error {
	sum, err := x.intake.Flush(ctx)
	if err != nil {
		return err
	}
	for _, fork := range sum.Forks {
		x.rep.freeze(fork.Feed)
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.sum.New += sum.New
	x.sum.Duplicate += sum.Duplicate
	x.sum.Waiting += sum.Waiting
	x.sum.Forked += sum.Forked + sum.Frozen
	x.sum.Refused += sum.Refused
	if x.sum.Duplicate+x.sum.Forked > x.s.g.cfg.Limits.Duplicate+2*x.sum.New {
		x.s.cancel(errRepeats)
	}
	return nil
}
