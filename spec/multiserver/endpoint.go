package multiserver

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/ssbsync/ssbsync/spec/refs"
)

// Endpoint is where the transports net, onion, ws and wss connect to.
type Endpoint struct {
	Host string // an IP address without brackets, or a name
	Port uint16
	Path string // of ws and wss, with its "/"; empty if none was given
}

// Endpoint returns where to connect to. It fails for other transports and
// where host or port are not valid.
func (a Address) Endpoint() (Endpoint, error) {
	if len(a) == 0 {
		return Endpoint{}, errors.New("address is empty")
	}
	text := strings.Join(a[0].Data, ":")
	switch a[0].Name {
	case layerNet, layerOnion:
		return parseEndpoint(text, "")
	case layerWS:
		return parseWebEndpoint(text, "80")
	case layerWSS:
		return parseWebEndpoint(text, "443")
	}
	return Endpoint{}, fmt.Errorf("transport %q has no host and port", a[0].Name)
}

// parseWebEndpoint reads "//host[:port][/path]".
func parseWebEndpoint(s, defaultPort string) (Endpoint, error) {
	s, ok := strings.CutPrefix(s, "//")
	if !ok {
		return Endpoint{}, fmt.Errorf(`"//" is missing before %.80q`, s)
	}
	path := ""
	if i := strings.IndexByte(s, '/'); i >= 0 {
		s, path = s[:i], s[i:]
	}
	e, err := parseEndpoint(s, defaultPort)
	e.Path = path
	return e, err
}

// parseEndpoint reads "host:port", where host may have colons. Without a colon
// behind the host the default port counts, if there is one.
func parseEndpoint(s, defaultPort string) (Endpoint, error) {
	host, port := s, defaultPort
	if i := strings.LastIndexByte(s, ':'); i >= 0 && !strings.HasSuffix(s, "]") {
		host, port = s[:i], s[i+1:]
	}
	number, err := parsePort(port)
	if err != nil {
		return Endpoint{}, err
	}
	if inner, ok := strings.CutPrefix(host, "["); ok {
		host, ok = strings.CutSuffix(inner, "]")
		if !ok || !strings.Contains(host, ":") || !isIP(host) {
			return Endpoint{}, fmt.Errorf("not an IPv6 address in brackets: %.80q", inner)
		}
	}
	if !isHost(host) {
		return Endpoint{}, fmt.Errorf("not a host: %.80q", host)
	}
	return Endpoint{Host: host, Port: number}, nil
}

// parsePort reads a port from 1 to 65535, digits only, no leading zero.
func parsePort(s string) (uint16, error) {
	port, err := strconv.ParseUint(s, 10, 16)
	if err != nil || port == 0 || strconv.FormatUint(port, 10) != s {
		return 0, fmt.Errorf("not a port: %.80q", s)
	}
	return uint16(port), nil
}

func isIP(s string) bool {
	_, err := netip.ParseAddr(s)
	return err == nil
}

// isHost reports whether s is an IP address, "localhost" or a domain name.
func isHost(s string) bool { return s == "localhost" || isIP(s) || isDomain(s) }

// isDomain reports whether s is a domain name of at least two labels. The last
// is not a number; the one before it has no underscore.
func isDomain(s string) bool {
	s = strings.TrimSuffix(strings.ToLower(s), ".")
	labels := strings.Split(s, ".")
	n := len(labels)
	if len(s) > 253 || n < 2 || strings.Contains(labels[n-2], "_") {
		return false
	}
	for _, label := range labels[:n-1] {
		if !isLabel(label) {
			return false
		}
	}
	return isTopLabel(labels[n-1])
}

// isLabel reports whether s is a label of a domain name. Two dashes in a row
// are for "xn--" only.
func isLabel(s string) bool {
	if s == "" || len(s) > 63 || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	return consists(s, "-_") && strings.Count(s, "--") == strings.Count(s, "xn--")
}

// isTopLabel reports whether s is the last label of a domain name. What is
// all digits would be an IP address gone wrong.
func isTopLabel(s string) bool {
	if strings.Trim(s, "0123456789") == "" {
		return false
	}
	s = strings.TrimPrefix(s, "xn--")
	return s != "" && consists(s, "")
}

// consists reports whether s has only lower-case letters, digits and the
// given further characters.
func consists(s, further string) bool {
	for i := range len(s) {
		c := s[i]
		if !('a' <= c && c <= 'z' || '0' <= c && c <= '9' || strings.IndexByte(further, c) >= 0) {
			return false
		}
	}
	return true
}

// UnixPath returns the path of the socket of the transport unix.
func (a Address) UnixPath() (string, bool) {
	if a.Transport() != layerUnix {
		return "", false
	}
	path := strings.TrimSuffix(strings.Join(a[0].Data, ":"), ":")
	return path, path != ""
}

// Tunnel returns the room and the peer behind it of the transport tunnel.
func (a Address) Tunnel() (portal, target refs.Feed, ok bool) {
	if a.Transport() != layerTunnel || len(a[0].Data) < 2 {
		return portal, target, false
	}
	portal, err := refs.ParseFeed(a[0].Data[0])
	if err != nil {
		return portal, target, false
	}
	target, err = refs.ParseFeed(a[0].Data[1])
	return portal, target, err == nil
}
