package muxrpc

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
)

// Kind says how the body of a packet is encoded.
type Kind uint8

// The kinds of bodies. The values are those of the wire; 3 is an error.
const (
	Binary Kind = 0 // bytes as they are
	String Kind = 1 // UTF-8 text
	JSON   Kind = 2 // one JSON value
)

// String names the kind as packet-stream-codec does.
func (k Kind) String() string {
	switch k {
	case Binary:
		return "buffer"
	case String:
		return "string"
	case JSON:
		return "json"
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

const (
	headerLen = 9

	flagStream = 1 << 3
	flagEnd    = 1 << 2
	maskKind   = 3
)

// Packet is the unit of the wire. Its layout (npm packet-stream-codec; protocol
// guide, "RPC protocol", "Header structure"):
//
//	offset  bytes  field
//	0       1      flags: bit 3 stream, bit 2 end, bits 1-0 kind; the others are ignored
//	1       4      length of the body, big-endian unsigned
//	5       4      request number, big-endian signed
//	9       length body
//
// Nine zero bytes are the goodbye that ends a connection.
type Packet struct {
	Req    int32 // the caller's number; negated in packets of the callee
	Stream bool  // belongs to a stream, not to an async call
	End    bool  // last packet of its direction, or an error
	Kind   Kind
	Body   []byte
}

// Goodbye reports whether p is the end of the connection, nine zero bytes.
func (p *Packet) Goodbye() bool {
	return len(p.Body) == 0 && p.Req == 0 && !p.Stream && !p.End && p.Kind == Binary
}

// Check reports whether the body is what its kind promises: JSON must be one
// JSON value. The decoder does not check it, because whoever uses a body
// parses it anyway.
func (p *Packet) Check() error {
	if p.Kind == JSON && len(p.Body) > 0 && !json.Valid(p.Body) {
		return fmt.Errorf("packet of request %d: body is not JSON", p.Req)
	}
	return nil
}

// Append appends the wire form of p to dst. A packet without a body reads as
// a goodbye to the JavaScript peers, so nothing but a goodbye should have none.
func (p *Packet) Append(dst []byte) []byte {
	flags := byte(p.Kind) & maskKind
	if p.Stream {
		flags |= flagStream
	}
	if p.End {
		flags |= flagEnd
	}
	dst = append(dst, flags)
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(p.Body)))
	dst = binary.BigEndian.AppendUint32(dst, uint32(p.Req))
	return append(dst, p.Body...)
}
