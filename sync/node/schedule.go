package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/ssbsync/ssbsync/spec/muxrpc"
	"github.com/ssbsync/ssbsync/store"
	"github.com/ssbsync/ssbsync/sync/gossip"
)

// switchTable holds the groups of addresses that the user switched off. Its
// keys are their names, its values are empty.
const switchTable = "node.switches"

// addSchedule adds the methods by which apps steer whom we dial, and the help
// texts of the groups of methods.
func (n *Node) addSchedule(m *muxrpc.Mux) {
	m.Sync("gossip.enable", n.gossipSwitch(true))
	m.Sync("gossip.disable", n.gossipSwitch(false))
	m.Sync("gossip.help", n.groupHelp("gossip", "keep track of peers, and decide when to connect to them"))
	m.Sync("conn.stage", n.stage)
	m.Sync("conn.unstage", n.unstage)
	m.Sync("conn.start", n.pause(false))
	m.Sync("conn.stop", n.pause(true))
	m.Sync("friends.help", n.groupHelp("friends", "track what feeds are following or blocking each other"))
	m.Sync("friends.onEdge", onEdge)
}

// gossipSwitch switches a group of addresses on or off, for good:
// gossip.enable(type), where the type is "global" unless another is named.
// ssb-server writes that into the user's config; we leave that file alone.
func (n *Node) gossipSwitch(on bool) muxrpc.Answer {
	word := map[bool]string{true: "enabled", false: "disabled"}[on]
	return func(_ context.Context, c *muxrpc.Call) (any, error) {
		name := string(gossip.GlobalGroup)
		if raw := argument(c, 0); !falsy(raw) && json.Unmarshal(raw, &name) != nil {
			return nil, wrongType(0, "string")
		}
		if len(name) > 64 {
			return nil, usage("gossip.%s: %.20q… is no type", strings.TrimSuffix(word, "d"), name)
		}
		g, err := n.network()
		if err != nil {
			return nil, err
		}
		if known(gossip.Group(name)) { // what means nothing is not kept
			table := n.store.Table(switchTable)
			if on {
				err = table.Delete([]byte(name))
			} else {
				err = table.Put([]byte(name), nil)
			}
			if err != nil {
				return nil, err
			}
			g.Switch(gossip.Group(name), on)
		}
		return word + " gossip type " + name, nil
	}
}

func known(group gossip.Group) bool {
	switch group {
	case gossip.GlobalGroup, gossip.LocalGroup, gossip.FriendsGroup, gossip.SeedGroup:
		return true
	}
	return false
}

// applySwitches switches off what was switched off before.
func (n *Node) applySwitches(g *gossip.Gossip) error {
	return n.store.Table(switchTable).View(func(tx *store.TableTx) error {
		return tx.Each(nil, nil, func(name, _ []byte) bool {
			g.Switch(gossip.Group(name), false)
			return true
		})
	})
}

// pause lets the schedule dial nobody, or dial again, until the node is closed.
func (n *Node) pause(paused bool) muxrpc.Answer {
	return func(context.Context, *muxrpc.Call) (any, error) {
		g, err := n.network()
		if err == nil {
			g.Pause(paused)
		}
		return nil, err
	}
}

// stage takes up an address until the node is closed, without keeping it, and
// answers whether it is new: conn.stage(address, data).
func (n *Node) stage(_ context.Context, c *muxrpc.Call) (any, error) {
	g, err := n.network()
	if err != nil {
		return nil, err
	}
	addr, feed, err := addressParam(c)
	if err != nil {
		return nil, err
	}
	if addr == nil {
		return nil, fmt.Errorf("not a valid address:%s", feed)
	}
	fresh, err := g.Stage(addr, feed)
	if errors.Is(err, gossip.ErrOwn) {
		return false, nil
	}
	return fresh, err
}

// unstage takes that back and answers whether the address was staged.
func (n *Node) unstage(_ context.Context, c *muxrpc.Call) (any, error) {
	g, err := n.network()
	if err != nil {
		return nil, err
	}
	addr, _, err := addressParam(c)
	if err != nil {
		return nil, err
	}
	return addr != nil && g.Unstage(addr.String()), nil
}

// groupHelp answers which methods there are in a group, and their types.
func (n *Node) groupHelp(group, description string) muxrpc.Answer {
	return func(context.Context, *muxrpc.Call) (any, error) {
		type command struct {
			Type muxrpc.Type `json:"type"`
		}
		commands := map[string]command{}
		for name, typ := range n.mux.Methods() {
			if name, ok := strings.CutPrefix(name, group+"."); ok {
				commands[name] = command{typ}
			}
		}
		return struct {
			Description string             `json:"description"`
			Commands    map[string]command `json:"commands"`
		}{description, commands}, nil
	}
}

// onEdge answers a method that ssb-server has in its manifest and that ends it
// when it is called: it takes and returns functions, which do not travel.
func onEdge(context.Context, *muxrpc.Call) (any, error) {
	return nil, errors.New("friends.onEdge takes a function and cannot be called from outside: use friends.graphStream")
}
