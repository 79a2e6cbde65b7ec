package gossip

import (
	"bytes"
	"context"
	"encoding/json"
	"net/netip"
	"time"

	"github.com/ssbsync/ssbsync/spec/message"
	"github.com/ssbsync/ssbsync/spec/multiserver"
	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/store"
)

// The peer book follows the receive log for messages that tell of pubs,
//
//	{"type":"pub","address":{"host":…,"port":…,"key":…}}
//
// or with the address as text. Nobody waits for it, so it reads at a pace at
// which it does not get in the way of an import.
const (
	pubCursor = "gossip.pubs"
	pubPage   = 1000
	pubPace   = 100 * time.Millisecond // between two pages
	pubLag    = 10_000                 // messages that may be read again after a restart
)

// readPubs follows the receive log until ctx ends.
func (g *Gossip) readPubs(ctx context.Context) {
	s := g.cfg.Store
	at, err := s.Cursor(pubCursor)
	saved := at
	for err == nil && ctx.Err() == nil {
		if err = s.Wait(ctx, at); err != nil {
			break
		}
		if at, err = g.readPubPage(at); err != nil {
			break
		}
		if at-saved >= pubLag {
			saved = at
			err = s.SetCursor(pubCursor, at)
		}
		sleep(ctx, pubPace)
	}
	if err != nil && ctx.Err() == nil {
		g.cfg.Log.Warn("messages that tell of pubs are no longer read", "err", err)
	}
}

// readPubPage takes up the pubs of one page.
func (g *Gossip) readPubPage(after uint64) (uint64, error) {
	page, err := g.cfg.Store.LogPage(after, 0, pubPage, false)
	if err != nil {
		return after, err
	}
	for i := range page {
		after = page[i].Rx
		if addr, ok := g.pubIn(&page[i]); ok {
			key, _ := addr.Key()
			g.Remember(addr, key, Pub)
		}
	}
	return after, nil
}

var pubMark = []byte(`"type":"pub"`)

// pubIn returns the address that a message tells of, if it is one to dial.
func (g *Gossip) pubIn(rec *store.Record) (multiserver.Address, bool) {
	if !bytes.Contains(rec.Value, pubMark) || !g.cfg.Policy.Wants(rec.Feed) {
		return nil, false
	}
	view, err := message.Fields(rec.Value)
	if err != nil {
		return nil, false
	}
	var content struct {
		Type    string
		Address json.RawMessage
	}
	if json.Unmarshal(view.Content, &content) != nil || content.Type != "pub" {
		return nil, false
	}
	addr, ok := parsePub(content.Address)
	if !ok || !g.known(addr) || addr.Transport() == "unix" {
		return nil, false
	}
	end, err := addr.Endpoint()
	return addr, err == nil && (g.cfg.AllowPrivate || isPublic(end.Host))
}

// parsePub reads the address of a pub message.
func parsePub(raw json.RawMessage) (multiserver.Address, bool) {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		if all, err := multiserver.Parse(text); err == nil {
			return all[0], true
		}
		addr, err := multiserver.ParseLegacy(text)
		return addr, err == nil
	}
	var o struct {
		Host string
		Port uint16
		Key  refs.Feed
	}
	if json.Unmarshal(raw, &o) != nil || o.Port == 0 || o.Key.IsZero() {
		return nil, false
	}
	addr := multiserver.Net(o.Host, o.Port, o.Key)
	_, err := addr.Endpoint()
	return addr, err == nil
}

// isPublic reports whether a host may be reached from anywhere, as far as its
// name shows.
func isPublic(host string) bool {
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return host != "localhost"
	}
	ip = ip.Unmap()
	return ip.IsGlobalUnicast() && !ip.IsPrivate()
}
