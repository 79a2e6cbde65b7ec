package node

import (
	"context"
	"net"
	"slices"
	"time"

	"github.com/ssbsync/ssbsync/spec/multiserver"
	"github.com/ssbsync/ssbsync/sync/gossip"
	"github.com/ssbsync/ssbsync/sync/lan"
)

// lookAround announces this node on the LAN and tells gossip of peers there,
// until ctx ends.
func (s *server) lookAround(ctx context.Context, g *gossip.Gossip) error {
	return lan.Run(ctx, lan.Config{
		Keys: s.node.keys, Network: s.node.caps, Log: s.node.options.Log,
		Addresses: s.announced,
		Found:     g.Discovered,
	})
}

// announced lists where peers on the LAN reach the listeners that are meant for
// them.
func (s *server) announced() (all []multiserver.Address) {
	for _, e := range s.listening {
		tcp, ok := e.Addr().(*net.TCPAddr)
		if !ok || e.transport != "net" || !contains(e.config.Scope, "local") {
			continue
		}
		host := tcp.IP.String()
		if tcp.IP.IsUnspecified() {
			host = net.IPv4zero.String()
		}
		all = append(all, multiserver.Net(host, uint16(tcp.Port), s.node.keys.Feed()))
	}
	return all
}

// addressesEvery is how often this machine's addresses are looked at.
const addressesEvery = 10 * time.Second

// watchAddresses calls changed when this machine has other network addresses
// than before, until ctx ends.
func watchAddresses(ctx context.Context, changed func()) error {
	before := addressList()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(addressesEvery):
		}
		if now := addressList(); !slices.Equal(now, before) {
			before = now
			changed()
		}
	}
}

func addressList() (list []string) {
	addrs, _ := net.InterfaceAddrs() // none is possible
	for _, addr := range addrs {
		list = append(list, addr.String())
	}
	slices.Sort(list)
	return list
}
