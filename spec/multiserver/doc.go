// Package multiserver parses and formats the network addresses of Secure
// Scuttlebutt peers and the invite codes made of them.
//
// An address names the layers of a connection, transport first, each with
// data; several addresses of one peer are joined:
//
//	net:example.com:8008~shs:KEY
//	onion:abc.onion:8008~shs:KEY;ws://example.com:80~shs:KEY
//	unix:/home/me/.ssb/socket:~noauth:KEY
//	tunnel:@PORTAL.ed25519:@TARGET.ed25519~shs:KEY
//
// The grammar is that of the npm package multiserver-address 1.0.1:
//
//	addresses = address *( ";" address )
//	address   = layer *( "~" layer )
//	layer     = name *( ":" data )
//	name      = a-z 1*( a-z / 0-9 / "-" )
//	data      = *( character / "!!" / "!~" / "!:" / "!;" )
//	character = printable ASCII other than space and "!:;~"
//
// A host with colons is usually written without escapes, so that it spreads
// over several data: net:fe80::1:8008 has the host fe80::1.
//
// The older forms are host:port:@KEY.ed25519 for an address and
// host:port:@KEY.ed25519~SEED for an invite code. Source: npm ssb-ref 2.16.0.
//
// # Where this package differs from ssb-ref and multiserver-address
//
// What is an address in the grammar is one here too, of whatever layers. The
// rules below are all the differences; the tests classify every vector by them.
//
//	escape    multiserver-address encodes without escapes. Here data are
//	          escaped, so that what was parsed parses again to the same.
//	tilde     ssb-ref takes a "~" behind an escaped "!!" for an escaped one.
//	key       ssb-ref makes "@undefined.ed25519" of a missing key, takes any
//	          text for one and any layer whose name begins with "shs", and
//	          ".sha256" on the key of a legacy address. Here a key is the
//	          canonical base64 of 32 bytes in the layer shs.
//	host      ssb-ref takes as an IPv6 address nearly anything of hexadecimal
//	          digits, the empty text too, and as IPv4 numbers beyond 255. Here
//	          it is an IP address (IPv6 also in brackets and with a zone, as
//	          other implementations write it), "localhost", or a domain name of
//	          two labels or more, by the rules of ssb-ref less its table of
//	          public suffixes. Only with ws and wss "//" stands before it.
//	port      ssb-ref takes any integer up to 65536 in any spelling that
//	          JavaScript reads as one. Here it is 1 to 65535 in digits. Where
//	          ws and wss have none it is 80 and 443, and they may have a path.
//	first     Of several addresses ssb-ref looks at the first of a known
//	          transport. Here the first that can be dialled counts.
//	default   ssb-ref's parseAddress fills in an empty host and a default port
//	          and checks nothing. Here ParseLegacy takes what ssb-ref calls an
//	          address.
//	seed      ssb-ref takes an address without a seed for an invite code, and
//	          any text for the seed of one in multiserver form. Here a seed is
//	          the canonical base64 of 32 bytes, and what stands behind it is
//	          dropped.
//	length    No address or code is longer than 8192 bytes.
package multiserver
