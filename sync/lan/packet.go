package lan

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/crypto/nacl/secretbox"

	"github.com/ssbsync/ssbsync/spec/keys"
	"github.com/ssbsync/ssbsync/spec/multiserver"
	"github.com/ssbsync/ssbsync/spec/refs"
)

// Bounds of a packet. A peer with many interfaces announces a dozen addresses
// of about 90 bytes.
const (
	maxPacket    = 2048
	maxAddresses = 16
)

// announcement is what a packet says: who is there, and where.
type announcement struct {
	feed  refs.Feed
	addrs []multiserver.Address // of transport net or ws, each with the key of feed
}

var errForm = errors.New("not an announcement")

// parsePlain reads the text of a plain packet: addresses in multiserver form
// or a single one in legacy form, all of one peer.
func parsePlain(text []byte) (announcement, error) {
	if len(text) > maxPacket {
		return announcement{}, fmt.Errorf("announcement of %d bytes, more than %d", len(text), maxPacket)
	}
	all, err := multiserver.Parse(string(text))
	if err != nil {
		legacy, legacyErr := multiserver.ParseLegacy(string(text))
		if legacyErr != nil {
			return announcement{}, err
		}
		all = multiserver.Addresses{legacy}
	}
	return announcementOf(all)
}

// announcementOf takes the addresses that can be dialled.
func announcementOf(all multiserver.Addresses) (announcement, error) {
	if len(all) > maxAddresses {
		return announcement{}, fmt.Errorf("%d addresses, more than %d", len(all), maxAddresses)
	}
	var a announcement
	for _, addr := range all {
		feed, ok := addr.Key()
		if _, err := hostOf(addr); err != nil || !ok {
			continue
		}
		if len(a.addrs) > 0 && feed != a.feed {
			return announcement{}, errors.New("addresses of several peers in one announcement")
		}
		a.feed, a.addrs = feed, append(a.addrs, addr)
	}
	if len(a.addrs) == 0 {
		return announcement{}, errForm
	}
	return a, nil
}

// hostOf returns the IP address that a peer is to be dialled at. Names are
// refused: looking them up would tell others what we heard.
func hostOf(addr multiserver.Address) (netip.Addr, error) {
	if t := addr.Transport(); t != "net" && t != "ws" {
		return netip.Addr{}, fmt.Errorf("transport %q is not for the local network", t)
	}
	end, err := addr.Endpoint()
	if err != nil {
		return netip.Addr{}, err
	}
	ip, err := netip.ParseAddr(end.Host)
	return ip.Unmap(), err
}

// believable reports whether an address that came from a host can be its own
// or that of another interface of it.
func believable(host, from netip.Addr) bool {
	switch {
	case host.IsUnspecified(), host.IsMulticast(), host.Zone() != "":
		return false
	case host == from:
		return true
	case host.IsLoopback():
		return from.IsLoopback()
	case host.Is4():
		return host.IsPrivate() || host.IsLinkLocalUnicast()
	}
	return host.IsPrivate()
}

// Parts of a sealed packet:
//
//	secretbox of {"address":"TEXT"} under the key of the network, with the
//	first 24 bytes of that key as nonce (it hides nothing from members of the
//	network and makes equal announcements equal, which is all it is for);
//	64 bytes: signature by the peer over `{\n  "address": "TEXT"\n}`
const (
	jsonHead, jsonTail     = `{"address":"`, `"}`
	signedHead, signedTail = "{\n  \"address\": \"", "\"\n}"
	signatureLen           = 64
)

// openSealed opens a sealed packet and verifies who signed it.
func openSealed(packet []byte, network *[32]byte) (announcement, error) {
	if len(packet) > maxPacket || len(packet) < signatureLen+secretbox.Overhead {
		return announcement{}, fmt.Errorf("sealed announcement of %d bytes", len(packet))
	}
	box, sig := packet[:len(packet)-signatureLen], packet[len(packet)-signatureLen:]
	plain, ok := secretbox.Open(nil, box, (*[24]byte)(network[:24]), network)
	if !ok {
		return announcement{}, errors.New("sealed under another key")
	}
	text, ok := bytes.CutPrefix(plain, []byte(jsonHead))
	if ok {
		text, ok = bytes.CutSuffix(text, []byte(jsonTail))
	}
	if !ok || !isPlainJSON(text) {
		return announcement{}, errForm
	}
	a, err := parsePlain(text)
	if err != nil {
		return announcement{}, err
	}
	if !keys.Verify(a.feed, signedText(text), (*[signatureLen]byte)(sig)) {
		return announcement{}, fmt.Errorf("announcement of %s is not signed by it", a.feed)
	}
	return a, nil
}

// seal makes a sealed packet.
func seal(text []byte, pair *keys.Pair, network *[32]byte) []byte {
	plain := append(append([]byte(jsonHead), text...), jsonTail...)
	sig := pair.Sign(signedText(text))
	return append(secretbox.Seal(nil, plain, (*[24]byte)(network[:24]), network), sig[:]...)
}

func signedText(text []byte) []byte {
	return append(append([]byte(signedHead), text...), signedTail...)
}

// isPlainJSON reports whether a text reads the same inside a JSON string.
func isPlainJSON(text []byte) bool {
	for _, c := range text {
		if c < ' ' || c > '~' || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}
