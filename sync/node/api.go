package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"syscall"

	"github.com/ssbsync/ssbsync/spec/muxrpc"
	"github.com/ssbsync/ssbsync/spec/refs"
)

// Program is how this program names itself in the answer to "version", by
// which clients tell it from another program behind the same socket.
const Program = "ssbsync"

// Names of errors that a client tells apart. They travel as the name of a
// RemoteError.
const (
	ErrorUsage   = "UsageError" // the arguments are wrong
	ErrorNoSpace = "NoSpace"    // a disk is full
	ErrorOther   = "Other"      // another program may write with our identity
	ErrorFolder  = "Folder"     // the user as whom the server runs cannot open a folder
)

// usage is an error of the caller.
func usage(format string, args ...any) error {
	return &muxrpc.RemoteError{Name: ErrorUsage, Message: fmt.Sprintf(format, args...)}
}

// spaceError marks an error that a full disk caused, for the caller to know.
func spaceError(err error) error {
	if errors.Is(err, syscall.ENOSPC) {
		return &muxrpc.RemoteError{Name: ErrorNoSpace, Message: err.Error()}
	}
	return err
}

// newMux lists the methods of the node.
func (n *Node) newMux() *muxrpc.Mux {
	m := muxrpc.NewMux()
	n.addBasics(m)
	n.addReads(m)
	n.addPrivate(m)
	n.addGroups(m)
	n.addFriends(m)
	n.addPeers(m)
	n.addReplication(m)
	n.addBlobs(m)
	n.addInvites(m)
	n.addCarriage(m)
	n.addMedia(m)
	return m
}

func (n *Node) addBasics(m *muxrpc.Mux) {
	m.Sync("whoami", n.whoami)
	m.Sync("version", n.version)
	m.Sync("help", n.help)
	m.Async("auth", n.auth)
	m.Sync("address", n.address)
	m.Sync("getAddress", n.address)
	m.Sync("multiserver.address", n.address)
	m.Sync("status", n.serverStatus)
	m.Sync("progress", n.progress)
	m.Async("publish", n.publish)
	m.Async("ssbsync.status", n.status)
	m.Source("ssbsync.check", n.check)
	m.Source("ssbsync.compact", n.compact)
	m.Async("ssbsync.recover", n.recover)
	m.Async("ssbsync.forget", n.forget)
	m.Async("ssbsync.adopt", n.adopt)
	m.Source("ssbsync.backup", n.backup)
}

func (n *Node) whoami(context.Context, *muxrpc.Call) (any, error) {
	return struct {
		ID refs.Feed `json:"id"`
	}{n.keys.Feed()}, nil
}

// version answers "ssbsync/" and the version.
func (n *Node) version(context.Context, *muxrpc.Call) (any, error) {
	return Program + "/" + n.options.Version, nil
}

// help answers which methods there are.
func (n *Node) help(context.Context, *muxrpc.Call) (any, error) {
	type command struct {
		Type muxrpc.Type `json:"type"`
	}
	commands := map[string]command{}
	for name, typ := range n.mux.Methods() {
		commands[name] = command{typ}
	}
	return struct {
		Description string             `json:"description"`
		Commands    map[string]command `json:"commands"`
	}{"a Secure Scuttlebutt peer that carries feeds over networks and on USB sticks", commands}, nil
}

// auth answers what an identity may call: auth(id).
func (n *Node) auth(_ context.Context, c *muxrpc.Call) (any, error) {
	var feed refs.Feed
	if json.Unmarshal(argument(c, 0), &feed) != nil || !n.isMaster(feed) {
		return nil, nil
	}
	return json.RawMessage(`{"allow":null,"deny":null}`), nil
}

// serverStatus answers what ssb-server's status does.
func (n *Node) serverStatus(ctx context.Context, c *muxrpc.Call) (any, error) {
	progress, err := n.progress(ctx, c)
	if err != nil {
		return nil, err
	}
	type synced struct {
		Since   int64            `json:"since"`
		Plugins map[string]int64 `json:"plugins"`
		Sync    bool             `json:"sync"`
	}
	since := synced{Since: int64(n.store.Last()) - 1, Plugins: map[string]int64{}, Sync: true}
	for _, ix := range n.indexes {
		cursor, err := n.store.Cursor(ix.name)
		if err != nil {
			return nil, err
		}
		at := int64(cursor) - 1
		since.Plugins[ix.title] = at
		since.Sync = since.Sync && at == since.Since
	}
	apps, err := n.views.Cursor()
	if err != nil {
		return nil, err
	}
	since.Plugins[viewsTitle] = int64(apps) - 1
	since.Sync = since.Sync && apps == n.store.Last()
	return struct {
		Progress any            `json:"progress"`
		Sync     synced         `json:"sync"`
		Gossip   map[string]any `json:"gossip"`
	}{progress, since, n.gossipStatus()}, nil
}

// progress answers how far the indexes have come.
func (n *Node) progress(context.Context, *muxrpc.Call) (any, error) {
	current := n.store.Last()
	for _, ix := range n.indexes {
		cursor, err := n.store.Cursor(ix.name)
		if err != nil {
			return nil, err
		}
		current = min(current, cursor)
	}
	apps, err := n.views.Cursor()
	if err != nil {
		return nil, err
	}
	current = min(current, apps)
	type span struct {
		Start   uint64 `json:"start"`
		Current uint64 `json:"current"`
		Target  uint64 `json:"target"`
	}
	return struct {
		Indexes span `json:"indexes"`
	}{span{min(n.indexStart, current), current, n.store.Last()}}, nil
}

// feedArgument reads the only argument of a call as a feed id.
func feedArgument(c *muxrpc.Call) (refs.Feed, error) {
	var text string
	if err := c.DecodeArgs(&text); err != nil {
		return refs.Feed{}, err
	}
	return refs.ParseFeed(text)
}

// options reads the only argument of a call into dst. What is no object has no
// members, as in JavaScript.
func options(c *muxrpc.Call, dst any) error {
	var raw json.RawMessage
	if err := c.DecodeArgs(&raw); err != nil || len(raw) == 0 || raw[0] != '{' {
		return err
	}
	if err := json.Unmarshal(raw, dst); err != nil {
		return usage("%s: options: %v", c.Name(), muxrpc.ArgumentError(err))
	}
	return nil
}

// isEnd reports whether an error of Send only says that the caller has had
// enough.
func isEnd(err error) bool {
	return errors.Is(err, muxrpc.ErrStreamClosed) || errors.Is(err, context.Canceled)
}
