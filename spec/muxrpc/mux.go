package muxrpc

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Mux is a set of methods, and the Handler that serves them to whom everything
// is allowed. Methods are added before it is used. It serves its manifest as
// the method "manifest".
type Mux struct {
	methods map[string]method
}

type method struct {
	typ   Type
	serve func(ctx context.Context, c *Call) error
}

// NewMux returns a Mux that has the method "manifest" only.
func NewMux() *Mux {
	m := &Mux{methods: make(map[string]method)}
	m.Sync("manifest", func(context.Context, *Call) (any, error) { return m.Manifest(), nil })
	return m
}

// Answer computes the answer of an async call; see Call.Return for the value.
type Answer func(ctx context.Context, c *Call) (any, error)

// Serve serves a stream until it returns; the error ends the stream.
type Serve func(ctx context.Context, c *Call, st *Stream) error

// Async adds a method, whose name is written with dots, of type Async.
func (m *Mux) Async(name string, f Answer) { m.add(name, Async, f.serve) }

// Sync adds a method of type Sync, which differs in the manifest only.
func (m *Mux) Sync(name string, f Answer) { m.add(name, Sync, f.serve) }

// Source adds a method that sends a stream.
func (m *Mux) Source(name string, f Serve) { m.add(name, Source, f.serve) }

// Sink adds a method that receives a stream.
func (m *Mux) Sink(name string, f Serve) { m.add(name, Sink, f.serve) }

// Duplex adds a method that does both.
func (m *Mux) Duplex(name string, f Serve) { m.add(name, Duplex, f.serve) }

func (f Answer) serve(ctx context.Context, c *Call) error {
	v, err := f(ctx, c)
	if err != nil {
		return err
	}
	return c.Return(v)
}

func (f Serve) serve(ctx context.Context, c *Call) error { return f(ctx, c, c.Stream) }

// add panics when a name is taken, or is also the group of another: both are a
// programmer's error, and the manifest could not show them.
func (m *Mux) add(name string, typ Type, serve func(context.Context, *Call) error) {
	for other := range m.methods {
		if other == name || strings.HasPrefix(other, name+".") || strings.HasPrefix(name, other+".") {
			panic(fmt.Sprintf("muxrpc: method %q added beside %q", name, other))
		}
	}
	m.methods[name] = method{typ, serve}
}

// HandleCall serves a call of any method.
func (m *Mux) HandleCall(ctx context.Context, c *Call) error {
	f, ok := m.methods[c.Name()]
	if !ok || !f.typ.answers(c) {
		return errNoMethod(c)
	}
	return f.serve(ctx, c)
}

// answers reports whether a method of type t can be called as c was. The type
// that a call without a stream names does not matter.
func (t Type) answers(c *Call) bool {
	if c.Stream == nil {
		return t == Async || t == Sync
	}
	return t == c.Type
}

// Restrict returns a Handler of m's methods that refuses, with JavaScript's
// words, those that allow does not. Names are given to it with dots.
func (m *Mux) Restrict(allow func(method string) bool) Handler { return restricted{m, allow} }

type restricted struct {
	mux   *Mux
	allow func(method string) bool
}

func (r restricted) HandleCall(ctx context.Context, c *Call) error {
	if !r.allow(c.Name()) {
		return fmt.Errorf("method:%s is not in list of allowed methods", c.jsName())
	}
	return r.mux.HandleCall(ctx, c)
}

// errNoMethod is JavaScript's answer to a call of a method that is not there
// with that type.
func errNoMethod(c *Call) error {
	typ := c.Type
	if c.Stream == nil {
		typ = Async
	}
	return fmt.Errorf("no %s:%s", typ, c.jsName())
}

// jsName is the method as JavaScript prints an array.
func (c *Call) jsName() string { return strings.Join(c.Method, ",") }

// Manifest returns the methods and their types as nested JSON objects, in the
// order of their names: {"blobs":{"has":"async"},"whoami":"sync"}.
func (m *Mux) Manifest() json.RawMessage {
	tree := make(map[string]any)
	for _, name := range slices.Sorted(maps.Keys(m.methods)) {
		path := strings.Split(name, ".")
		group := tree
		for _, part := range path[:len(path)-1] {
			sub, ok := group[part].(map[string]any)
			if !ok {
				sub = make(map[string]any)
				group[part] = sub
			}
			group = sub
		}
		group[path[len(path)-1]] = m.methods[name].typ
	}
	text, _ := encodeJSON(tree)
	return text
}

// Methods returns the names of all methods with their types.
func (m *Mux) Methods() map[string]Type {
	types := make(map[string]Type, len(m.methods))
	for name, f := range m.methods {
		types[name] = f.typ
	}
	return types
}
