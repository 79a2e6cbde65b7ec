package node

import (
	"context"
	"encoding/json"
	"errors"
	"strings"

	"github.com/ssbsync/ssbsync/spec/multiserver"
	"github.com/ssbsync/ssbsync/spec/muxrpc"
)

// addInvites adds the methods of npm ssb-invite. invite.use is only for who
// comes with the key of an invite; package gossip serves it.
func (n *Node) addInvites(m *muxrpc.Mux) {
	m.Async("invite.create", n.inviteCreate)
	m.Async("invite.accept", n.inviteAccept)
	m.Async("invite.use", n.inviteUse)
}

// InviteOptions are the options of invite.create.
type InviteOptions struct {
	Uses     int    `json:"uses,omitempty"` // 0 = 1
	Note     string `json:"note,omitempty"`
	External string `json:"external,omitempty"` // the host to name
}

// inviteCreate answers a new invite code: invite.create(uses), or
// invite.create({uses, note, external}).
func (n *Node) inviteCreate(_ context.Context, c *muxrpc.Call) (any, error) {
	o := InviteOptions{Uses: 1}
	raw := argument(c, 0)
	switch {
	case falsy(raw):
	case json.Unmarshal(raw, &o.Uses) == nil:
	default:
		if err := json.Unmarshal(raw, &o); err != nil {
			return nil, wrongType(0, "object")
		}
	}
	end, err := n.inviteAddress(o.External)
	if err != nil {
		return nil, err
	}
	g, err := n.network()
	if err != nil {
		return nil, err
	}
	return g.CreateInvite(end.Host, end.Port, max(o.Uses, 1), o.Note)
}

// inviteAddress returns where a guest reaches us.
func (n *Node) inviteAddress(external string) (multiserver.Endpoint, error) {
	s := n.server.Load()
	if s == nil {
		return multiserver.Endpoint{}, errNoServer
	}
	scopes := []string{"public"}
	if n.config.AllowPrivate {
		scopes = []string{"public", "local", "device"}
	}
	for _, scope := range scopes {
		for _, addr := range s.addresses(scope) {
			end, err := addr.Endpoint()
			if err != nil || addr.Transport() != "net" {
				continue
			}
			if external != "" {
				end.Host = external
			}
			if n.config.AllowPrivate || external != "" || !isPrivateHost(end.Host) {
				return end, nil
			}
		}
	}
	if external != "" {
		if port, ok := s.netPort(); ok {
			return multiserver.Endpoint{Host: external, Port: port}, nil
		}
	}
	//lint:ignore ST1005 the words of ssb-server
	return multiserver.Endpoint{}, errors.New("Server has no public ip address, cannot create useable invitation")
}

// inviteAccept redeems an invite code: invite.accept(code).
func (n *Node) inviteAccept(ctx context.Context, c *muxrpc.Call) (any, error) {
	var code string
	raw := argument(c, 0)
	if falsy(raw) {
		return nil, missing(0)
	}
	if json.Unmarshal(raw, &code) != nil {
		var o struct {
			Invite string `json:"invite"`
		}
		if json.Unmarshal(raw, &o) != nil {
			return nil, wrongType(0, "string")
		}
		code = o.Invite
	}
	code = strings.Trim(strings.TrimSpace(code), `"`)
	if _, err := multiserver.ParseInvite(code); err != nil {
		// Unlike ssb-invite we do not repeat it: it may be one nearly.
		return nil, errors.New("ssb-invite failed to parse invite")
	}
	g, err := n.network()
	if err != nil {
		return nil, err
	}
	accepted, err := g.AcceptInvite(ctx, code)
	if err != nil {
		return nil, err
	}
	if err := n.policyChanged(ctx); err != nil {
		return nil, err
	}
	return accepted.Messages, nil
}

// inviteUse refuses who did not come with an invite.
func (n *Node) inviteUse(context.Context, *muxrpc.Call) (any, error) {
	return nil, errors.New("invite.use is only for who connects with the key of an invite")
}
