package muxrpc

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
)

// DefaultMaxBody is the largest body accepted when Config.MaxBody is zero, in
// bytes: room for the clock of 200,000 feeds, which is the largest thing that
// peers send in one packet.
const DefaultMaxBody = 16 << 20

const (
	readBuffer = 32 << 10

	// bodyStep is how much of a body is allocated before any of it arrived;
	// more is allocated only as fast as bytes come in.
	bodyStep = 64 << 10
)

// Decoder reads packets from a byte stream.
type Decoder struct {
	r       *bufio.Reader
	maxBody int
}

// NewDecoder returns a Decoder of r that refuses bodies of more than maxBody
// bytes; zero means DefaultMaxBody. It reads ahead.
func NewDecoder(r io.Reader, maxBody int) *Decoder {
	if maxBody <= 0 {
		maxBody = DefaultMaxBody
	}
	return &Decoder{r: bufio.NewReaderSize(r, readBuffer), maxBody: maxBody}
}

// Next reads one packet. Its body is newly allocated. At the end of the
// stream the error is io.EOF between packets and wraps io.ErrUnexpectedEOF
// within one. After an error the Decoder must not be used again.
//
// A packet without a body is returned as it came. The JavaScript decoder takes
// each of them for a goodbye; see Packet.Goodbye for the true one.
func (d *Decoder) Next() (Packet, error) {
	head, err := d.r.Peek(headerLen)
	if err != nil {
		return Packet{}, headError(len(head), err)
	}
	p := Packet{
		Req:    int32(binary.BigEndian.Uint32(head[5:])),
		Stream: head[0]&flagStream != 0,
		End:    head[0]&flagEnd != 0,
		Kind:   Kind(head[0] & maskKind),
	}
	length := binary.BigEndian.Uint32(head[1:])
	d.r.Discard(headerLen)
	if length == 0 {
		return p, nil
	}
	if p.Kind > JSON {
		return Packet{}, fmt.Errorf("packet of request %d: unknown message type %d", p.Req, p.Kind)
	}
	if uint64(length) > uint64(d.maxBody) {
		return Packet{}, fmt.Errorf("packet of request %d: body of %d bytes is over the limit of %d", p.Req, length, d.maxBody)
	}
	if p.Body, err = d.body(int(length)); err != nil {
		return Packet{}, fmt.Errorf("packet of request %d: %w", p.Req, err)
	}
	return p, nil
}

// headError explains an error after n bytes of a header.
func headError(n int, err error) error {
	if err == io.EOF && n > 0 {
		return fmt.Errorf("packet header: %w after %d of %d bytes", io.ErrUnexpectedEOF, n, headerLen)
	}
	return err
}

// body reads n bytes, allocating no more than twice what has arrived.
func (d *Decoder) body(n int) ([]byte, error) {
	buf := make([]byte, min(n, bodyStep))
	have := 0
	for {
		m, err := io.ReadFull(d.r, buf[have:])
		have += m
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			return nil, fmt.Errorf("%w after %d of %d bytes of the body", io.ErrUnexpectedEOF, have, n)
		}
		if err != nil {
			return nil, err
		}
		if have == n {
			return buf, nil
		}
		grown := make([]byte, min(n, 2*have))
		copy(grown, buf)
		buf = grown
	}
}
