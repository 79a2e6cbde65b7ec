package multiserver

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/ssbsync/ssbsync/spec/refs"
)

const suffixOnion = ".onion"

// Net returns the address of a peer that listens on TCP: of transport onion
// if the host is a name that ends so. Host is an IP address or a name.
func Net(host string, port uint16, key refs.Feed) Address {
	layer := Layer{Name: layerNet}
	if strings.HasSuffix(host, suffixOnion) {
		layer.Name = layerOnion
	}
	// The colons of IPv6 addresses stay unescaped: the JavaScript programs
	// write and read them so.
	layer.Data = append(strings.Split(host, ":"), strconv.Itoa(int(port)))
	return Address{layer, shs(key)}
}

// Web returns the address of a peer that listens for web sockets, of the scheme
// ws or wss. As in every URL an IPv6 address is in brackets.
func Web(scheme, host string, port uint16, key refs.Feed) Address {
	authority := net.JoinHostPort(host, strconv.Itoa(int(port)))
	return Address{{Name: scheme, Data: strings.Split("//"+authority, ":")}, shs(key)}
}

// shs returns the layer that a peer with that key answers to.
func shs(key refs.Feed) Layer { return Layer{Name: layerSHS, Data: []string{encodeKey(key)}} }

// isWeb reports whether the transport is web sockets.
func (a Address) isWeb() bool { return a.Transport() == layerWS || a.Transport() == layerWSS }

// Unix returns the address of a peer that listens on a unix socket, where the
// file system decides who may connect.
func Unix(path string, key refs.Feed) Address {
	return Address{
		{Name: layerUnix, Data: []string{path, ""}},
		{Name: layerNoAuth, Data: []string{encodeKey(key)}},
	}
}

// Tunnel returns the address of a peer that is reached through a room.
func Tunnel(portal, target refs.Feed) Address {
	return Address{{Name: layerTunnel, Data: []string{portal.String(), target.String()}}, shs(target)}
}

// ParseLegacy reads "host:port:@KEY.ed25519", where the host may begin with
// "ws://" or "wss://".
func ParseLegacy(s string) (Address, error) {
	if len(s) > maxLen {
		return nil, fmt.Errorf("address is %d bytes long, more than %d", len(s), maxLen)
	}
	i := strings.LastIndexByte(s, ':')
	if i < 0 {
		return nil, errors.New("address has no key")
	}
	key, err := refs.ParseFeed(s[i+1:])
	if err != nil {
		return nil, fmt.Errorf("address: %v", err)
	}
	scheme, authority := cutScheme(s[:i])
	endpoint, err := parseEndpoint(authority, "")
	if err != nil {
		return nil, fmt.Errorf("address: %v", err)
	}
	if scheme != "" {
		return Web(scheme, endpoint.Host, endpoint.Port, key), nil
	}
	return Net(endpoint.Host, endpoint.Port, key), nil
}

// cutScheme cuts "ws://" or "wss://" off s.
func cutScheme(s string) (scheme, rest string) {
	for _, scheme := range []string{layerWS, layerWSS} {
		if rest, ok := strings.CutPrefix(s, scheme+"://"); ok {
			return scheme, rest
		}
	}
	return "", s
}

// Legacy returns the form that ParseLegacy reads. It fails for addresses
// without a host, port or key, and for what the form has no place for: the
// path of a web socket, and onion with a host that does not say so.
func (a Address) Legacy() (string, error) {
	e, err := a.Endpoint()
	if err != nil {
		return "", err
	}
	key, ok := a.Key()
	switch isOnion := strings.HasSuffix(e.Host, suffixOnion); {
	case !ok:
		return "", errors.New("address has no key")
	case e.Path != "":
		return "", fmt.Errorf("the legacy form has no place for the path %.80q", e.Path)
	case !a.isWeb() && isOnion != (a.Transport() == layerOnion):
		return "", fmt.Errorf("the legacy form has no place for the transport %s of host %.80q", a.Transport(), e.Host)
	}
	scheme := ""
	if a.isWeb() {
		scheme = a.Transport() + "://"
	}
	return scheme + e.Host + ":" + strconv.Itoa(int(e.Port)) + ":" + key.String(), nil
}
