package muxrpc_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"testing"

	"github.com/ssbsync/ssbsync/spec/muxrpc"
)

// testMux has one method of each type.
func testMux() *muxrpc.Mux {
	m := muxrpc.NewMux()
	m.Async("hello", func(_ context.Context, c *muxrpc.Call) (any, error) {
		var name string
		if err := c.DecodeArgs(&name); err != nil {
			return nil, err
		}
		return "hello " + name, nil
	})
	m.Async("fail", func(context.Context, *muxrpc.Call) (any, error) { return nil, errors.New("boom") })
	m.Async("panic", func(context.Context, *muxrpc.Call) (any, error) { panic("at the disco") })
	m.Async("nothing", func(context.Context, *muxrpc.Call) (any, error) { return nil, nil })
	m.Async("nested.sub", func(context.Context, *muxrpc.Call) (any, error) { return 42, nil })
	m.Source("count", func(ctx context.Context, c *muxrpc.Call, st *muxrpc.Stream) error {
		n := 0
		if err := c.DecodeArgs(&n); err != nil {
			return err
		}
		for i := range n {
			if err := st.Send(ctx, i); err != nil {
				return err
			}
		}
		return nil
	})
	m.Source("failsrc", func(ctx context.Context, _ *muxrpc.Call, st *muxrpc.Stream) error {
		st.Send(ctx, "one")
		return errors.New("source broke")
	})
	m.Sink("sum", func(ctx context.Context, _ *muxrpc.Call, st *muxrpc.Stream) error {
		for {
			if _, err := st.Recv(ctx); err == io.EOF {
				return nil
			} else if err != nil {
				return err
			}
		}
	})
	m.Duplex("echo", func(ctx context.Context, _ *muxrpc.Call, st *muxrpc.Stream) error {
		for {
			it, err := st.Recv(ctx)
			if err == io.EOF {
				return nil
			} else if err != nil {
				return err
			}
			if err := st.Send(ctx, it); err != nil {
				return err
			}
		}
	})
	return m
}

// pair connects two sessions that both serve testMux, and checks at the end of
// the test that both end well.
func pair(t testing.TB, c muxrpc.Config) (client, server *muxrpc.Session) {
	t.Helper()
	a, b := muxrpc.Pipe()
	c.Log = slog.New(slog.DiscardHandler)
	if c.Handler == nil {
		c.Handler = testMux()
	}
	client, server = muxrpc.NewSession(a, c), muxrpc.NewSession(b, c)
	t.Cleanup(func() {
		if err := client.Close(); err != nil {
			t.Errorf("client: %v", err)
		}
		if err := server.Wait(); err != nil {
			t.Errorf("server: %v", err)
		}
		client.Wait()
	})
	return client, server
}

func TestAsync(t *testing.T) {
	client, server := pair(t, muxrpc.Config{})
	ctx := t.Context()
	for _, c := range []struct{ method, want, err string }{
		{"hello", `"hello bob"`, ""},
		{"nothing", `false`, ""},
		{"nested.sub", `42`, ""},
		{"fail", "", "boom"},
		{"panic", "", "internal error"},
		{"nosuch", "", "no async:nosuch"},
		{"nested.nosuch", "", "no async:nested,nosuch"},
		{"count", "", "no async:count"},
	} {
		for _, s := range []*muxrpc.Session{client, server} {
			got, err := s.Async(ctx, c.method, "bob")
			if c.err != "" {
				var remote *muxrpc.RemoteError
				if !errors.As(err, &remote) || remote.Message != c.err {
					t.Errorf("%s: error %v, want %q", c.method, err, c.err)
				}
				continue
			}
			if err != nil || string(got) != c.want {
				t.Errorf("%s: %s, %v; want %s", c.method, got, err, c.want)
			}
		}
	}
}

func TestStreams(t *testing.T) {
	client, _ := pair(t, muxrpc.Config{})
	ctx := t.Context()
	src, err := client.Source(ctx, "count", 1000)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 1000 {
		it, err := src.Recv(ctx)
		if err != nil || string(it.Body) != fmt.Sprint(i) {
			t.Fatalf("item %d: %s, %v", i, it.Body, err)
		}
	}
	if _, err := src.Recv(ctx); err != io.EOF {
		t.Fatalf("end: %v", err)
	}
	sink, err := client.Sink(ctx, "sum")
	if err != nil {
		t.Fatal(err)
	}
	for range 10 {
		if err := sink.Send(ctx, "x"); err != nil {
			t.Fatal(err)
		}
	}
	if err := sink.Finish(ctx); err != nil {
		t.Fatal(err)
	}
	dup, err := client.Duplex(ctx, "echo")
	if err != nil {
		t.Fatal(err)
	}
	for i := range 10 {
		if err := dup.Send(ctx, i); err != nil {
			t.Fatal(err)
		}
		if it, err := dup.Recv(ctx); err != nil || string(it.Body) != fmt.Sprint(i) {
			t.Fatalf("echo %d: %s, %v", i, it.Body, err)
		}
	}
	if err := dup.Finish(ctx); err != nil {
		t.Fatal(err)
	}
}
