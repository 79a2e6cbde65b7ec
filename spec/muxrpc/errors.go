package muxrpc

import (
	"bytes"
	"encoding/json"
	"errors"
)

// ErrClosed is wrapped by what every pending and later call returns when the
// session has ended.
var ErrClosed = errors.New("muxrpc session ended")

// ErrStreamClosed is returned by Send after either side ended the stream, and
// by Recv after this side closed it.
var ErrStreamClosed = errors.New("muxrpc stream closed")

// RemoteError is an error that the peer sent as the end of a call.
type RemoteError struct {
	Name    string // JavaScript's error class, such as "Error" or "TypeError"
	Message string
	Stack   string // where in the peer's program; of no use to people
}

// Error returns the peer's message.
func (e *RemoteError) Error() string { return e.Message }

// wireError is the form of an error on the wire; JavaScript's keys, in its
// order.
type wireError struct {
	Message string `json:"message"`
	Name    string `json:"name"`
	Stack   string `json:"stack"`
}

// endClean is the body of a packet that ends a stream without an error.
var endClean = []byte("true")

// maxEcho is the largest error that is sent back when the peer ends a stream
// with it, in bytes.
const maxEcho = 4 << 10

// echoBody is what answers the peer's end of a stream: the same, as JavaScript
// does.
func echoBody(p Packet) []byte {
	if p.Kind != JSON || len(p.Body) > maxEcho || p.Check() != nil {
		return endClean
	}
	return p.Body
}

// endBody returns the body that ends a call: true for nil, else the error. A
// RemoteError is passed on as it came.
func endBody(err error) []byte {
	if err == nil {
		return endClean
	}
	wire := wireError{Message: err.Error(), Name: "Error", Stack: "Error: " + err.Error()}
	var remote *RemoteError
	if errors.As(err, &remote) {
		wire.Name, wire.Stack = remote.Name, remote.Stack
	}
	body, _ := encodeJSON(wire)
	return body
}

// remoteError reads the body of an ending packet. A clean end gives nil.
func remoteError(p Packet) error {
	if p.Kind == JSON {
		body := bytes.TrimSpace(p.Body)
		if string(body) == "true" || string(body) == "null" {
			return nil
		}
		var wire wireError
		if json.Unmarshal(body, &wire) == nil && wire.Message != "" {
			return &RemoteError{Name: wire.Name, Message: wire.Message, Stack: wire.Stack}
		}
	}
	return &RemoteError{Name: "Error", Message: Item{p.Kind, p.Body}.plain()}
}

// plain returns the item for people: text as it is, anything else as JSON.
func (it Item) plain() string {
	if it.Kind == String {
		return it.Text()
	}
	return string(it.JSON())
}
