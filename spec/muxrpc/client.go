package muxrpc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
)

// Type is the type of a method, as manifests have it.
type Type string

// The types of methods.
const (
	Async  Type = "async"  // one answer
	Sync   Type = "sync"   // one answer; on the wire the same as Async
	Source Type = "source" // the callee sends a stream
	Sink   Type = "sink"   // the caller sends a stream
	Duplex Type = "duplex" // both do
)

// answer is what an async call gets.
type answer struct {
	item Item
	err  error
}

func newAnswer(p Packet) answer {
	if !p.End {
		return answer{item: Item{p.Kind, p.Body}}
	}
	err := remoteError(p)
	if err == nil { // an end without an error is none of JavaScript's answers
		err = &RemoteError{Name: "Error", Message: "call ended without an answer"}
	}
	return answer{err: err}
}

// request is the body of the packet that opens a call. JavaScript sends no
// type with async calls.
type request struct {
	Name []string `json:"name"`
	Args []any    `json:"args"`
	Type Type     `json:"type,omitempty"`
}

// newRequest encodes a call of method, such as "blobs.has".
func newRequest(method string, typ Type, args []any) ([]byte, error) {
	if args == nil {
		args = []any{}
	}
	body, err := encodeJSON(request{strings.Split(method, "."), args, typ})
	if err != nil {
		return nil, fmt.Errorf("%s: encoding the arguments: %v", method, err)
	}
	return body, nil
}

// Async calls a method that gives one answer, of type Async or Sync, and
// returns the answer as JSON text (see Item.JSON; a callee without a value
// answers false). The method is written with dots, as "blobs.has". Arguments
// are encoded by encoding/json. The error is a *RemoteError as the peer gave
// it, the cause of ctx's end, or wraps ErrClosed. The wire knows no way to take
// an async call back: when ctx ends, the answer is dropped when it comes.
func (s *Session) Async(ctx context.Context, method string, args ...any) (json.RawMessage, error) {
	it, err := s.Call(ctx, method, args...)
	if err != nil {
		return nil, err
	}
	if it.Kind == JSON && !json.Valid(it.Body) {
		return nil, fmt.Errorf("%s: the answer is not JSON", method)
	}
	return it.JSON(), nil
}

// Call is Async for those who want the answer in the form it came in.
func (s *Session) Call(ctx context.Context, method string, args ...any) (Item, error) {
	body, err := newRequest(method, "", args)
	if err != nil {
		return Item{}, err
	}
	c := make(chan answer, 1)
	id, err := s.register(func(id int32) { s.answers[id] = c })
	if err != nil {
		return Item{}, err
	}
	if err := s.out.push(ctx, nil, Packet{Req: id, Kind: JSON, Body: body}); err != nil {
		s.forget(id)
		return Item{}, err
	}
	select {
	case a := <-c:
		return a.item, a.err
	case <-ctx.Done():
		s.forget(id)
		return Item{}, context.Cause(ctx)
	}
}

// errRequests ends the use of a session for calls.
var errRequests = errors.New("muxrpc session has no request numbers left")

// register gives a new call its number and lets add note it.
func (s *Session) register(add func(id int32)) (int32, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ending {
		return 0, s.closedErr()
	}
	if s.lastReq == math.MaxInt32 {
		return 0, errRequests
	}
	s.lastReq++
	add(s.lastReq)
	return s.lastReq, nil
}

func (s *Session) forget(id int32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.answers, id)
}

// Source calls a method whose answer is a stream. The stream lasts until its
// end is received, Close, or the end of ctx, which tells the callee to stop.
func (s *Session) Source(ctx context.Context, method string, args ...any) (*Stream, error) {
	return s.open(ctx, Source, method, args)
}

// Sink calls a method that takes a stream. The stream lasts until Finish (or
// the peer's end), Close, or the end of ctx.
func (s *Session) Sink(ctx context.Context, method string, args ...any) (*Stream, error) {
	return s.open(ctx, Sink, method, args)
}

// Duplex calls a method that takes a stream and answers with one. The stream
// lasts until both directions have ended, Close, or the end of ctx.
func (s *Session) Duplex(ctx context.Context, method string, args ...any) (*Stream, error) {
	return s.open(ctx, Duplex, method, args)
}

func (s *Session) open(ctx context.Context, typ Type, method string, args []any) (*Stream, error) {
	body, err := newRequest(method, typ, args)
	if err != nil {
		return nil, err
	}
	st := &Stream{sess: s, typ: typ, mine: true, more: make(chan struct{}, 1)}
	var unwatch func() bool
	st.stop = func(error) { unwatch() }
	_, err = s.register(func(id int32) {
		st.req = id
		s.outgoing[id] = st
		unwatch = context.AfterFunc(ctx, func() { st.abort(context.Cause(ctx)) })
	})
	if err != nil {
		return nil, err
	}
	p := Packet{Req: st.req, Stream: true, Kind: JSON, Body: body}
	if err := s.out.push(ctx, st, p); err != nil {
		s.drop(st, err)
		return nil, err
	}
	return st, nil
}
