package muxrpc

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
)

// maxRequest bounds the packet that opens a call, in bytes: many calls may be
// open, and each keeps its arguments.
const maxRequest = 256 << 10

// Handler serves the calls of a peer.
type Handler interface {
	// HandleCall serves one call and returns when it is over, in a goroutine of
	// its own. A call that was not answered by then is answered: with the error
	// returned, or false for an async call (as JavaScript answers without a
	// value) and a clean end for a stream. The context ends when the caller no
	// longer wants a source, and with the session; HandleCall must return then.
	HandleCall(ctx context.Context, c *Call) error
}

// Call is one call of the peer.
type Call struct {
	Method []string        // never empty; ["blobs","has"]
	Type   Type            // as sent: JavaScript sends none with async calls
	Args   json.RawMessage // a JSON array, not otherwise checked
	Stream *Stream         // nil for an async call

	sess     *Session
	ctx      context.Context
	req      int32
	answered bool // by the handler's goroutine
}

// Name returns the method with dots: "blobs.has".
func (c *Call) Name() string { return strings.Join(c.Method, ".") }

// Session returns the session that the call came over, on which the callee can
// call the peer.
func (c *Call) Session() *Session { return c.sess }

// DecodeArgs decodes the arguments into dst in their order, as encoding/json
// does. Arguments that are missing leave their dst alone; further ones are
// ignored.
func (c *Call) DecodeArgs(dst ...any) error {
	var args []json.RawMessage
	if err := json.Unmarshal(c.Args, &args); err != nil {
		return fmt.Errorf("%s: arguments: %v", c.Name(), err)
	}
	for i := range min(len(args), len(dst)) {
		if err := json.Unmarshal(args[i], dst[i]); err != nil {
			return fmt.Errorf("%s: argument %d: %v", c.Name(), i+1, ArgumentError(err))
		}
	}
	return nil
}

// ArgumentError says what is wrong with an argument that encoding/json did not
// decode, without the types of Go, which tell a caller nothing.
func ArgumentError(err error) error {
	var wrong *json.UnmarshalTypeError
	if !errors.As(err, &wrong) {
		return err
	}
	kind, number, _ := strings.Cut(wrong.Value, " ")
	switch {
	case number != "":
		kind = "the number " + number
	case kind == "array" || kind == "object":
		kind = "an " + kind
	case kind == "bool":
		kind = "a boolean"
	default:
		kind = "a " + kind
	}
	if wrong.Field == "" {
		return fmt.Errorf("cannot be %s", kind)
	}
	return fmt.Errorf("%q cannot be %s", wrong.Field, kind)
}

// errAnswered is a programmer's error in a handler.
var errAnswered = errors.New("call is answered already, or a stream")

// Return answers an async call with v: a string, []byte, json.RawMessage or
// Item as it is, anything else as JSON. Nil stands for no value and is answered
// with false, as JavaScript does; for null return json.RawMessage("null"). It
// is called once, from the goroutine of HandleCall.
func (c *Call) Return(v any) error {
	if v == nil {
		v = false
	}
	it, err := newItem(v)
	if err != nil {
		return fmt.Errorf("%s: encoding the answer: %v", c.Name(), err)
	}
	if len(it.Body) == 0 { // would be a goodbye
		it = Item{JSON, bufferJSON(nil)}
	}
	return c.answer(Packet{Kind: it.Kind, Body: it.Body})
}

func (c *Call) answer(p Packet) error {
	if c.answered || c.Stream != nil {
		return errAnswered
	}
	c.answered = true
	p.Req = -c.req
	return c.sess.out.push(c.ctx, nil, p)
}

// finish ends the call as its handler left it.
func (c *Call) finish(err error) {
	switch {
	case c.Stream != nil:
		c.Stream.Close(err)
	case c.answered:
	case err != nil:
		c.answer(Packet{End: true, Kind: JSON, Body: endBody(err)})
	default:
		c.Return(nil)
	}
}

// handleCall takes the first packet of a call of the peer. s.mu is held.
func (s *Session) handleCall(p Packet) error {
	if p.End {
		return nil // the end of a call that was refused
	}
	c, err := newCall(p)
	if err != nil && p.Stream && p.Req <= s.lastCall {
		return nil // an item of a stream that was refused or has ended
	}
	s.lastCall = max(s.lastCall, p.Req)
	if err == nil && s.calls >= s.config.MaxCalls {
		err = fmt.Errorf("too many open calls: the limit is %d", s.config.MaxCalls)
	}
	if err != nil {
		return s.out.reply(Packet{Req: -p.Req, Stream: p.Stream, End: true, Kind: JSON, Body: endBody(err)})
	}
	ctx, cancel := context.WithCancelCause(s.ctx)
	c.sess, c.ctx = s, ctx
	if p.Stream {
		c.Stream = &Stream{sess: s, req: -p.Req, typ: c.Type, more: make(chan struct{}, 1), stop: cancel}
		s.incoming[p.Req] = c.Stream
	}
	s.calls++
	s.handlers.Add(1)
	go s.serve(c, cancel)
	return nil
}

// newCall reads the packet that opens a call.
func newCall(p Packet) (*Call, error) {
	if len(p.Body) > maxRequest {
		return nil, fmt.Errorf("invalid request of %d bytes: the limit is %d", len(p.Body), maxRequest)
	}
	var r struct {
		Name json.RawMessage
		Args json.RawMessage
		Type Type
	}
	if p.Kind != JSON || json.Unmarshal(p.Body, &r) != nil {
		return nil, fmt.Errorf("invalid request: %.200s", Item{p.Kind, p.Body}.plain())
	}
	c := &Call{Type: r.Type, Args: r.Args, req: p.Req}
	if err := c.setMethod(r.Name); err != nil {
		return nil, err
	}
	switch {
	case p.Stream && r.Type != Source && r.Type != Sink && r.Type != Duplex:
		return nil, fmt.Errorf("unsupported stream type: %.40s", r.Type)
	case len(c.Args) == 0 && p.Stream:
		c.Args = json.RawMessage("[]")
	case !bytes.HasPrefix(c.Args, []byte("[")):
		return nil, fmt.Errorf("invalid request, args should be array, was: %.200s", p.Body)
	}
	return c, nil
}

// setMethod reads a method's name, an array of strings or one string.
func (c *Call) setMethod(name json.RawMessage) error {
	if bytes.HasPrefix(name, []byte(`"`)) {
		c.Method = make([]string, 1)
		return json.Unmarshal(name, &c.Method[0])
	}
	if json.Unmarshal(name, &c.Method) != nil || len(c.Method) == 0 {
		return fmt.Errorf("invalid request, name should be array of strings, was: %.200s", name)
	}
	return nil
}

// serve runs the handler of a call. A stream is counted off before its end goes
// out, so that a peer that keeps to the limit is never refused; the end does not
// wait for the peer, as an answer may.
func (s *Session) serve(c *Call, cancel context.CancelCauseFunc) {
	defer s.handlers.Done()
	defer cancel(nil)
	err := s.protected(c)
	if c.Stream == nil {
		c.finish(err)
		s.uncount(c)
		return
	}
	s.uncount(c)
	c.finish(err)
}

// uncount notes that a call's handler has returned.
func (s *Session) uncount(c *Call) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.Stream == nil {
		s.calls--
		return
	}
	c.Stream.served = true
	s.finish(c.Stream)
}

// protected calls the handler and turns a panic into an error.
func (s *Session) protected(c *Call) (err error) {
	defer func() {
		if v := recover(); v != nil {
			s.config.Log.Error("handler panicked", "method", c.Name(), "panic", v, "stack", string(debug.Stack()))
			err = errors.New("internal error")
		}
	}()
	if s.config.Handler == nil {
		return errNoMethod(c)
	}
	return s.config.Handler.HandleCall(c.ctx, c)
}
