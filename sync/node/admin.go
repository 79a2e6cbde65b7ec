package node

import (
	"context"

	"github.com/ssbsync/ssbsync/spec/muxrpc"
	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/store"
	"github.com/ssbsync/ssbsync/sync/stick"
)

// Status is the answer to ssbsync.status.
type Status struct {
	ID       refs.Feed         `json:"id"`
	Home     string            `json:"home"`
	Store    stick.ID          `json:"store"` // the store id
	Disk     Disk              `json:"disk"`
	Messages uint64            `json:"messages"`
	Feeds    int               `json:"feeds"`
	Own      int64             `json:"own"`   // sequence of the own feed
	Hops     int               `json:"hops"`  // friends.hops
	Reach    int               `json:"reach"` // feeds within hops
	Carried  int               `json:"carried"`
	Waiting  Waiting           `json:"waiting"`
	Forks    []Fork            `json:"forks"`
	Guard    stick.GuardStatus `json:"publishing"`
	Server   *ServerStatus     `json:"server,omitempty"` // of a running server
}

// Waiting counts valid messages whose predecessors are missing.
type Waiting struct {
	Messages int64 `json:"messages"`
	Feeds    int64 `json:"feeds"`
	Bytes    int64 `json:"bytes"`
}

// Fork names a feed that takes nothing more, and where it forked.
type Fork struct {
	Feed  refs.Feed    `json:"feed"`
	Seq   int64        `json:"sequence"`
	Have  refs.Message `json:"have"`  // stored and served
	Other refs.Message `json:"other"` // kept as evidence
}

func (n *Node) status(ctx context.Context, _ *muxrpc.Call) (any, error) {
	heads, err := n.store.Heads()
	if err != nil {
		return nil, err
	}
	own, err := n.ownHead()
	if err != nil {
		return nil, err
	}
	forks, err := n.store.Forks()
	if err != nil {
		return nil, err
	}
	guard, err := n.guard.Status()
	if err != nil {
		return nil, err
	}
	waiting, err := n.store.WaitingStats()
	if err != nil {
		return nil, err
	}
	if err := n.policy.refresh(ctx); err != nil {
		return nil, err
	}
	disk, err := n.disk()
	if err != nil {
		return nil, err
	}
	status := Status{
		ID: n.keys.Feed(), Home: n.options.Home, Store: n.store.ID(), Disk: disk,
		Messages: n.store.Last(), Feeds: len(heads), Own: own.Seq,
		Hops: n.config.Hops(), Reach: n.policy.reach(), Carried: n.policy.carriedCount(),
		Waiting: Waiting{Messages: waiting.Messages, Feeds: waiting.Feeds, Bytes: waiting.Bytes},
		Forks:   make([]Fork, 0, len(forks)), Guard: guard, Server: n.serverInfo(),
	}
	for _, f := range forks {
		status.Forks = append(status.Forks, Fork{Feed: f.Feed, Seq: f.Seq, Have: f.Have, Other: f.Other})
	}
	return status, nil
}

// CheckOptions are the options of ssbsync.check.
type CheckOptions struct {
	Signatures bool `json:"signatures"` // verify every signature again
	Blobs      bool `json:"blobs"`      // compare every blob with its id
	Repair     bool `json:"repair"`     // set bad blobs aside, and ask for them again
}

// CheckReport is what ssbsync.check sends.
type CheckReport struct {
	Messages int64    `json:"messages"`
	Feeds    int64    `json:"feeds"`
	Forks    int64    `json:"forks"`
	Waiting  int64    `json:"waiting"`
	Bytes    int64    `json:"bytes"`    // of all messages
	Size     int64    `json:"size"`     // of the database
	Problems []string `json:"problems"` // the first of them
	Found    int64    `json:"found"`    // how many there are

	Blobs *BlobCheck `json:"blobs,omitempty"` // if they were asked for
}

// check examines the whole store, and the blobs if asked to, and sends one
// report, after progress with the blobs.
func (n *Node) check(ctx context.Context, c *muxrpc.Call, st *muxrpc.Stream) error {
	var o CheckOptions
	if err := options(c, &o); err != nil {
		return err
	}
	found, err := n.store.Check(ctx, store.CheckOptions{Signatures: o.Signatures, Net: n.hmac})
	if err != nil {
		return err
	}
	report := CheckReport{Messages: found.Messages, Feeds: found.Feeds, Forks: found.Forks, Waiting: found.Waiting,
		Bytes: found.Bytes, Size: found.Size, Found: found.Found, Problems: make([]string, 0, len(found.Problems))}
	for _, problem := range found.Problems {
		report.Problems = append(report.Problems, problem.String())
	}
	if o.Blobs || o.Repair {
		if report.Blobs, err = n.checkBlobs(ctx, st, o.Repair); err != nil {
			return err
		}
	}
	return st.Send(ctx, report)
}

// RecoverOptions are the options of ssbsync.recover.
type RecoverOptions struct {
	Done bool `json:"done"` // the user says that all that can be fetched was
}

// recover answers the state of the own-feed guard, after lifting its lock when
// the user says so.
func (n *Node) recover(_ context.Context, c *muxrpc.Call) (any, error) {
	var o RecoverOptions
	if err := options(c, &o); err != nil {
		return nil, err
	}
	if o.Done {
		if err := n.guard.RecoverDone(); err != nil {
			return nil, err
		}
	}
	return n.guard.Status()
}
