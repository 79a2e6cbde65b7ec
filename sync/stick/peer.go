package stick

import (
	"context"
	"errors"
	"time"

	"github.com/ssbsync/ssbsync/spec/keys"
	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/store"
	"github.com/ssbsync/ssbsync/store/durable"
	"github.com/ssbsync/ssbsync/sync/ingest"
	"github.com/ssbsync/ssbsync/sync/space"
)

// Policy says whose messages matter to this node. Its methods are called
// often and from any goroutine; their answers may change between visits.
type Policy interface {
	// Wants reports whether a visit takes the feed. The own feed is taken
	// always.
	Wants(feed refs.Feed) bool
	// WantsAll reports whether Wants is true of every feed.
	WantsAll() bool
	// Wanted lists the feeds that Wants is true of, as far as they are known.
	Wanted() []refs.Feed
	// Hops is the distance of a feed in the follow graph: 0 the own, 1 what
	// it follows; negative when the feed is not in reach.
	Hops(feed refs.Feed) int
	// Trusts reports whether the node of that identity is in our hops or on
	// our list: what it exported and reports counts without our having read
	// it.
	Trusts(node refs.Feed) bool
}

// Blobs are the blobs of this node. They are small enough to be held in
// memory one by one.
type Blobs interface {
	// Wanted lists the blobs that are wanted and not held: also because of
	// messages of feeds that too reports true of, which may be nil.
	Wanted(too func(refs.Feed) bool) ([]refs.Blob, error)
	// Size returns the size in bytes of a held blob, and whether it is held.
	Size(id refs.Blob) (int64, bool)
	// Get reads a held blob.
	Get(id refs.Blob) ([]byte, error)
	// Put stores a blob durably, after comparing it with its id. An error
	// that wraps ErrNoRoom says that none is taken for now.
	Put(id refs.Blob, data []byte) error
	// Offered lists the held blobs that a receiver may come to want: those of
	// whose messages accept reports true of the latest one that refers to them,
	// by feed and sequence.
	Offered(accept func(feed refs.Feed, seq int64) bool) ([]refs.Blob, error)
}

// Config is what a Peer works with. Store, Ingest, Keys and Policy must be
// set; the pipeline must be running.
type Config struct {
	Store   *store.Store
	Ingest  *ingest.Pipeline // of that store
	Keys    *keys.Pair
	Network [32]byte   // bundle.NetworkID of the caps
	Net     *keys.HMAC // of a closed network, nil on the main network
	Policy  Policy
	Blobs   Blobs // nil: none are carried

	// Guard is the guard of the own feed that is told of own messages which
	// come in (ingest.Config.OnOwn); nil means one that only haves reach.
	Guard *Guard

	// Reserve is the free space in bytes that an export leaves on a medium;
	// 0 means DefaultReserve.
	Reserve int64

	// Part is how many bytes the bundles on a medium may take in all; 0 means
	// as many as there is room for.
	Part int64

	// Space decides what goes when a medium is full; nil means
	// space.NeedScore.
	Space space.Policy

	// Merging says when small bundles are merged.
	Merging space.MergeOptions

	// FreeSpace tells how many bytes can be written to the file system of a
	// folder, and how large it is; nil means durable.FreeSpace.
	FreeSpace func(path string) (free, total uint64, err error)

	// Now tells the time for the seconds in reports; nil means time.Now.
	Now func() time.Time
}

// DefaultReserve is the free space in bytes that is left on a medium, besides
// what our have will take: file systems get slow when they are full, and
// others must be able to leave word.
const DefaultReserve = 1 << 20

// Peer is this node at a medium. Its methods may be called from several
// goroutines; visits take turns.
type Peer struct {
	Config               // not changed
	turn   chan struct{} // holds one token while no visit is under way
	ledger *ledger

	fault func(step, name string) error // tests
}

// New returns a Peer.
func New(c Config) (*Peer, error) {
	if c.Store == nil || c.Ingest == nil || c.Keys == nil || c.Policy == nil {
		return nil, errors.New("stick: store, ingest, keys and policy must be set")
	}
	if c.Reserve == 0 {
		c.Reserve = DefaultReserve
	}
	if c.Space == nil {
		c.Space = space.NeedScore{}
	}
	if c.FreeSpace == nil {
		c.FreeSpace = durable.FreeSpace
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Guard == nil {
		c.Guard = NewGuard(c.Store, c.Keys.Feed())
	}
	p := &Peer{Config: c, turn: make(chan struct{}, 1), ledger: newLedger(c.Store)}
	p.turn <- struct{}{}
	return p, nil
}

// ImportOptions narrow an import.
type ImportOptions struct {
	// Accept says which feeds to take; nil means every feed. The own feed is
	// taken always.
	Accept func(refs.Feed) bool

	// Progress, when set, is called often by the working goroutine.
	Progress func(Progress)
}

// ExportOptions narrow an export.
type ExportOptions struct {
	// Feed says which feeds may be written; nil means every feed we hold.
	Feed func(refs.Feed) bool

	// To, when not zero, is the identity or ToStore the store that alone is
	// to be served: what it lacked when its last have was seen, anywhere.
	To      refs.Feed
	ToStore ID

	// MaxSize bounds the bytes of the bundles written; 0 means no bound but
	// the free space.
	MaxSize int64

	// All writes what the medium does not cover even if every have there
	// covers it. An export without visit does so anyway.
	All bool

	// Check reads every bundle on the medium again, instead of trusting what
	// earlier visits found.
	Check bool

	DryRun bool // count, and write nothing; a visit takes nothing either
	NoHave bool // leave no have file

	// Codec names the encoding of messages, one of bundle.Codecs. "" means the
	// interchange form; on a medium where every store that left a have reads
	// it, the smallest one.
	Codec string

	// Progress, when set, is called often by the working goroutine.
	Progress func(Progress)
}

// VisitOptions are those of the two halves of a visit.
type VisitOptions struct {
	// Accept says which feeds to take; nil means Policy.Wants.
	Accept func(refs.Feed) bool

	Export ExportOptions // without Progress

	// Progress, when set, is called often by the working goroutine.
	Progress func(Progress)
}

// begin waits for the turn of the caller, who must call the function it
// returns when done.
func (p *Peer) begin(ctx context.Context) (end func(), err error) {
	select {
	case <-p.turn:
		return func() { p.turn <- struct{}{} }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}
