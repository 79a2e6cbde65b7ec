package multiserver

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/ssbsync/ssbsync/spec/refs"
)

// Invite is an invite code: whoever holds it may connect to the peer as the
// identity of its seed and ask to be followed. It is a secret until used.
type Invite struct {
	Remote   Address // the peer, with its key and without the seed
	Seed     [32]byte
	Redirect string // "#" and what a web page makes of it; empty if none
}

// ParseInvite reads an invite code in legacy form, "host:port:@KEY~SEED", or
// in multiserver form, "net:host:port~shs:KEY:SEED". Errors do not repeat it.
func ParseInvite(s string) (Invite, error) {
	if len(s) > maxLen {
		return Invite{}, fmt.Errorf("invite code is %d bytes long, more than %d", len(s), maxLen)
	}
	var i Invite
	if n := strings.IndexByte(s, '#'); n >= 0 {
		s, i.Redirect = s[:n], s[n:]
	}
	if strings.ContainsAny(i.Redirect, "\r\n") {
		return Invite{}, errors.New("invite code has a line break")
	}
	if i.setLegacy(s) || i.setMultiserver(s) {
		return i, nil
	}
	return Invite{}, errors.New("not an invite code: it needs host, port, key and seed")
}

// setLegacy reads the legacy form and reports whether s is that.
func (i *Invite) setLegacy(s string) bool {
	address, seed, ok := strings.Cut(s, "~")
	if !ok {
		return false
	}
	remote, err := ParseLegacy(address)
	if err != nil {
		return false
	}
	i.Remote = remote
	return i.setSeed(seed)
}

// setMultiserver takes the first address that is an invitation. It reports
// whether there is one.
func (i *Invite) setMultiserver(s string) bool {
	all, err := Parse(s)
	if err != nil {
		return false
	}
	for _, a := range all {
		if len(a) < 2 || a[1].Name != layerSHS || len(a[1].Data) < 2 {
			continue
		}
		e, err := a.Endpoint()
		key, ok := a.Key()
		if err != nil || !ok || !i.setSeed(a[1].Data[1]) {
			continue
		}
		i.Remote = Address{a[0], shs(key)}
		if !a.isWeb() {
			i.Remote = Net(e.Host, e.Port, key)
		}
		return true
	}
	return false
}

// setSeed reads the canonical base64 of 32 bytes.
func (i *Invite) setSeed(s string) bool {
	raw, err := base64.StdEncoding.Strict().DecodeString(s)
	if err != nil || len(raw) != len(i.Seed) || encodeKey([32]byte(raw)) != s {
		return false
	}
	i.Seed = [32]byte(raw)
	return true
}

// Key returns the key of the peer that invites.
func (i Invite) Key() (refs.Feed, bool) { return i.Remote.Key() }

// Code returns the invite code in multiserver form.
func (i Invite) Code() string {
	return i.Remote.String() + ":" + encodeKey(i.Seed) + i.Redirect
}

// LegacyCode returns the invite code in legacy form, which ssb-server prints.
func (i Invite) LegacyCode() (string, error) {
	address, err := i.Remote.Legacy()
	if err != nil {
		return "", fmt.Errorf("invite: %v", err)
	}
	return address + "~" + encodeKey(i.Seed) + i.Redirect, nil
}

// Format writes the inviting address for every verb, so that printing an
// invite by accident does not show the seed.
func (i Invite) Format(s fmt.State, _ rune) { fmt.Fprint(s, i.Remote.String()) }
