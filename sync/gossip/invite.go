package gossip

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/ssbsync/ssbsync/spec/keys"
	"github.com/ssbsync/ssbsync/spec/multiserver"
	"github.com/ssbsync/ssbsync/spec/muxrpc"
	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/store"
)

// Invites that we gave are a table of the store: 32 bytes, the id of the key
// that a code makes → {"total":…,"used":…,"note":…}. The seed is only in the
// code.
const (
	inviteTable = "gossip.invites"
	maxUses     = 1_000_000
	maxNote     = 1000 // bytes
)

// Errors of invites, in the words of npm ssb-invite, which peers compare.
var (
	ErrExpired   = errors.New("invite has expired")
	ErrFollowing = errors.New("already following")
)

var errNoPublish = errors.New("invites need a way to publish")

// given is an invite that we gave.
type given struct {
	Total int    `json:"total"`
	Used  int    `json:"used"`
	Note  string `json:"note,omitempty"`
}

// CreateInvite makes an invite code for so many uses. The address is how we are
// reached, without a key; the note goes into the follows that come of it.
func (g *Gossip) CreateInvite(host string, port uint16, uses int, note string) (string, error) {
	if uses < 1 || uses > maxUses || len(note) > maxNote {
		return "", fmt.Errorf("an invite has 1 to %d uses and a note of at most %d bytes", maxUses, maxNote)
	}
	invite := multiserver.Invite{Remote: multiserver.Net(host, port, g.self)}
	if _, err := invite.Remote.Endpoint(); err != nil {
		return "", fmt.Errorf("making an invite: %w", err)
	}
	rand.Read(invite.Seed[:])
	key := keys.FromSeed(invite.Seed).Feed()
	if err := g.saveInvite(key, given{Total: uses, Note: note}); err != nil {
		return "", err
	}
	return invite.LegacyCode()
}

func (g *Gossip) saveInvite(key refs.Feed, inv given) error {
	row, err := json.Marshal(inv)
	if err == nil {
		err = g.cfg.Store.Table(inviteTable).Put(key[:], row)
	}
	if err != nil {
		return fmt.Errorf("saving an invite: %w", err)
	}
	return nil
}

func (g *Gossip) loadInvite(key refs.Feed) (inv given, err error) {
	row, err := g.cfg.Store.Table(inviteTable).Get(key[:])
	if err == nil {
		err = json.Unmarshal(row, &inv)
	}
	return inv, err
}

// invited reports whether a client has the key of an invite, and fails if it is
// used up.
func (g *Gossip) invited(client refs.Feed) (bool, error) {
	inv, err := g.loadInvite(client)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return false, nil
	case err == nil && inv.Used >= inv.Total:
		err = ErrExpired
	}
	return true, err
}

// guestHandler serves who came with the key of an invite.
func (g *Gossip) guestHandler(key refs.Feed) muxrpc.Handler {
	m := muxrpc.NewMux()
	m.Async("invite.use", func(ctx context.Context, c *muxrpc.Call) (any, error) {
		var request struct {
			Feed *refs.Feed `json:"feed"`
		}
		if err := c.DecodeArgs(&request); err != nil {
			return nil, err
		}
		if request.Feed == nil {
			return nil, errors.New("feed to follow is missing")
		}
		return g.useInvite(ctx, key, *request.Feed)
	})
	allowed := []string{"invite.use", "manifest"}
	return m.Restrict(func(method string) bool { return slices.Contains(allowed, method) })
}

// useInvite follows a feed on an invite, and returns the message that says so.
func (g *Gossip) useInvite(ctx context.Context, key, feed refs.Feed) (json.RawMessage, error) {
	if g.cfg.Publish == nil {
		return nil, errNoPublish
	}
	g.inviting.Lock()
	defer g.inviting.Unlock()
	inv, err := g.loadInvite(key)
	if err != nil {
		return nil, ErrExpired
	}
	switch follows, err := g.follows(ctx, feed); {
	case err != nil:
		return nil, err
	case follows:
		return nil, ErrFollowing
	case inv.Used >= inv.Total:
		return nil, ErrExpired
	case feed == g.self || g.cfg.Policy.Blocked(feed):
		return nil, errors.New("this feed cannot be followed")
	}
	inv.Used++
	if err := g.saveInvite(key, inv); err != nil {
		return nil, err
	}
	msg, err := g.publish(ctx, contact{Type: "contact", Contact: feed, Following: true, Pub: true, Note: inv.Note})
	if err != nil {
		inv.Used--
		return nil, errors.Join(err, g.saveInvite(key, inv))
	}
	return msg, nil
}

// contact is the content of a message that follows somebody.
type contact struct {
	Type       string    `json:"type"`
	Contact    refs.Feed `json:"contact"`
	Following  bool      `json:"following"`
	Autofollow bool      `json:"autofollow,omitempty"`
	Pub        bool      `json:"pub,omitempty"`
	Note       string    `json:"note,omitempty"`
}

// pubMessage is the content of a message that tells of a pub.
type pubMessage struct {
	Type    string     `json:"type"`
	Address pubAddress `json:"address"`
}

type pubAddress struct {
	Host string    `json:"host"`
	Port uint16    `json:"port"`
	Key  refs.Feed `json:"key"`
}

func (g *Gossip) publish(ctx context.Context, content any) (json.RawMessage, error) {
	raw, err := json.Marshal(content)
	if err != nil {
		return nil, err
	}
	return g.cfg.Publish(ctx, raw)
}

// follows reports whether we follow a feed.
func (g *Gossip) follows(ctx context.Context, feed refs.Feed) (bool, error) {
	if g.cfg.Graph == nil {
		return false, nil
	}
	if err := g.cfg.Graph.Update(ctx); err != nil {
		return false, err
	}
	return g.cfg.Graph.IsFollowing(g.self, feed), nil
}

// Accepted is what came of accepting an invite.
type Accepted struct {
	Pub      refs.Feed
	Address  string
	Messages []json.RawMessage // what we published, as {key,value,timestamp}
}

// AcceptInvite asks the peer of an invite code to follow us, follows it, tells
// of its address in a pub message, and puts it into the peer book.
func (g *Gossip) AcceptInvite(ctx context.Context, code string) (Accepted, error) {
	if g.cfg.Publish == nil {
		return Accepted{}, errNoPublish
	}
	invite, err := multiserver.ParseInvite(strings.Trim(strings.TrimSpace(code), `"`))
	if err != nil {
		return Accepted{}, err
	}
	pub, _ := invite.Key()
	if pub == g.self {
		return Accepted{}, ErrOwn
	}
	a := Accepted{Pub: pub, Address: invite.Remote.String()}
	if err := g.redeem(ctx, invite); err != nil {
		return a, err
	}
	if a.Messages, err = g.announce(ctx, invite.Remote, pub); err != nil {
		return a, err
	}
	return a, g.Remember(invite.Remote, pub, Invite)
}

// redeem connects as the invite's identity and asks to be followed.
func (g *Gossip) redeem(ctx context.Context, invite multiserver.Invite) error {
	if !g.start() {
		return ErrClosed
	}
	defer g.work.Done()
	ctx, cancel := g.during(ctx)
	defer cancel()
	conn, err := g.dialAs(ctx, invite.Remote, keys.FromSeed(invite.Seed))
	if err != nil {
		return fmt.Errorf("could not connect to the peer that invites: %w", err)
	}
	session := muxrpc.NewSession(conn, muxrpc.Config{Context: ctx, Log: g.cfg.Log})
	defer session.Close()
	_, err = session.Async(ctx, "invite.use", struct {
		Feed refs.Feed `json:"feed"`
	}{g.self})
	if err != nil && err.Error() != ErrFollowing.Error() {
		return fmt.Errorf("invite not accepted: %w", err)
	}
	return nil
}

// announce follows the pub, unless we do, and tells of its address.
func (g *Gossip) announce(ctx context.Context, addr multiserver.Address, pub refs.Feed) ([]json.RawMessage, error) {
	var contents []any
	follows, err := g.follows(ctx, pub)
	if err != nil {
		return nil, err
	}
	if !follows {
		contents = append(contents, contact{Type: "contact", Contact: pub, Following: true, Autofollow: true})
	}
	if end, err := addr.Endpoint(); err == nil {
		contents = append(contents, pubMessage{"pub", pubAddress{end.Host, end.Port, pub}})
	}
	var messages []json.RawMessage
	for _, content := range contents {
		msg, err := g.publish(ctx, content)
		if err != nil {
			return messages, fmt.Errorf("invite accepted, but publishing failed: %w", err)
		}
		messages = append(messages, msg)
	}
	return messages, nil
}
