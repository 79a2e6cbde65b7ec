package node

import (
	"slices"

	"github.com/ssbsync/ssbsync/spec/muxrpc"
	"github.com/ssbsync/ssbsync/spec/refs"
)

// publicMethods are what every peer may call, as with ssb-server. Those that have
// ssb-conn call gossip.ping too.
var publicMethods = map[string]bool{
	"manifest": true, "createHistoryStream": true, "ebt.replicate": true, "gossip.ping": true,
	"blobs.has": true, "blobs.get": true, "blobs.getSlice": true, "blobs.changes": true, "blobs.createWants": true,
}

// isMaster reports whether an identity may call everything: our own, and those
// that the config names.
func (n *Node) isMaster(feed refs.Feed) bool {
	return feed == n.keys.Feed() || slices.Contains(n.config.Master, feed)
}

// handlerFor returns what serves the calls of a peer.
func (n *Node) handlerFor(remote refs.Feed) muxrpc.Handler {
	if n.isMaster(remote) {
		return n.mux
	}
	return n.mux.Restrict(func(method string) bool { return publicMethods[method] })
}
