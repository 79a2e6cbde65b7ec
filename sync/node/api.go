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

// Version is the answer to "version".
type Version struct {
	Program string `json:"program"`
	Version string `json:"version"`
	ID      string `json:"id"` // of the identity
}

// Names of errors that a client tells apart. They travel as the name of a
// RemoteError.
const (
	ErrorUsage   = "UsageError" // the arguments are wrong
	ErrorNoSpace = "NoSpace"    // a disk is full
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
	n.addFriends(m)
	n.addCarriage(m)
	return m
}

func (n *Node) addBasics(m *muxrpc.Mux) {
	m.Sync("whoami", n.whoami)
	m.Async("version", n.version)
	m.Async("publish", n.publish)
	m.Async("ssbsync.status", n.status)
	m.Source("ssbsync.check", n.check)
	m.Async("ssbsync.recover", n.recover)
	m.Async("ssbsync.forget", n.forget)
}

func (n *Node) addReads(m *muxrpc.Mux) {
	m.Async("get", n.get)
	m.Source("createLogStream", n.createLogStream)
	m.Source("createFeedStream", n.createFeedStream)
	m.Source("createUserStream", n.createUserStream)
	m.Source("createHistoryStream", n.createHistoryStream)
}

func (n *Node) whoami(context.Context, *muxrpc.Call) (any, error) {
	return struct {
		ID refs.Feed `json:"id"`
	}{n.keys.Feed()}, nil
}

func (n *Node) version(context.Context, *muxrpc.Call) (any, error) {
	return Version{Program: Program, Version: n.options.Version, ID: n.keys.Feed().String()}, nil
}

// feedArgument reads the only argument of a call as a feed id.
func feedArgument(c *muxrpc.Call) (refs.Feed, error) {
	var text string
	if err := c.DecodeArgs(&text); err != nil {
		return refs.Feed{}, err
	}
	return refs.ParseFeed(text)
}

// options reads the only argument of a call, an object or nothing, into dst.
func options(c *muxrpc.Call, dst any) error {
	var raw json.RawMessage
	if err := c.DecodeArgs(&raw); err != nil || len(raw) == 0 || string(raw) == "null" {
		return err
	}
	if err := json.Unmarshal(raw, dst); err != nil {
		return usage("%s: options: %v", c.Name(), err)
	}
	return nil
}

// queryOf reads the options of a read stream.
func queryOf(c *muxrpc.Call) (query, error) {
	var raw json.RawMessage
	if err := c.DecodeArgs(&raw); err != nil {
		return query{}, err
	}
	return parseQuery(raw)
}

// isEnd reports whether an error of Send only says that the caller has had
// enough.
func isEnd(err error) bool {
	return errors.Is(err, muxrpc.ErrStreamClosed) || errors.Is(err, context.Canceled)
}
