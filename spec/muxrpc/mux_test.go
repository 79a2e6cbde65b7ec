package muxrpc_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"

	"github.com/ssbsync/ssbsync/spec/muxrpc"
)

func TestManifest(t *testing.T) {
	client, _ := pair(t, muxrpc.Config{})
	got, err := client.Async(t.Context(), "manifest")
	want := `{"count":"source","echo":"duplex","fail":"async","failsrc":"source","hello":"async","manifest":"sync",` +
		`"nested":{"sub":"async"},"nothing":"async","panic":"async","sum":"sink"}`
	if err != nil || string(got) != want {
		t.Errorf("%s, %v", got, err)
	}
	if types := testMux().Methods(); types["nested.sub"] != muxrpc.Async || len(types) != 10 {
		t.Errorf("methods %v", types)
	}
}

func TestRestrict(t *testing.T) {
	m := testMux()
	stranger := m.Restrict(func(method string) bool { return method == "hello" || method == "nested.other" })
	client, _ := pair(t, muxrpc.Config{Handler: stranger})
	for method, want := range map[string]string{
		"nested.sub":   "method:nested,sub is not in list of allowed methods",
		"nosuch":       "method:nosuch is not in list of allowed methods",
		"manifest":     "method:manifest is not in list of allowed methods",
		"nested.other": "no async:nested,other",
	} {
		if _, err := client.Async(t.Context(), method); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", method, err, want)
		}
	}
	if _, err := client.Async(t.Context(), "hello", "x"); err != nil {
		t.Error(err)
	}
	st, err := client.Source(t.Context(), "count", 5)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := st.Recv(t.Context()); err == nil || err.Error() != "method:count is not in list of allowed methods" {
		t.Errorf("source: %v", err)
	}
}

func TestMuxRefusesClashes(t *testing.T) {
	for _, name := range []string{"nested", "nested.sub", "nested.sub.more", "manifest"} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%q was added beside nested.sub", name)
				}
			}()
			testMux().Async(name, nil)
		}()
	}
}

// TestValues sends values of every kind both ways, as an argument and answer and
// as stream items.
func TestValues(t *testing.T) {
	m := muxrpc.NewMux()
	var value any
	m.Async("get", func(context.Context, *muxrpc.Call) (any, error) { return value, nil })
	m.Source("stream", func(ctx context.Context, _ *muxrpc.Call, st *muxrpc.Stream) error {
		if err := st.Send(ctx, value); err != nil {
			return err
		}
		return st.Send(ctx, "last")
	})
	client, _ := pair(t, muxrpc.Config{Handler: m})
	ctx := t.Context()
	for _, c := range []struct {
		value                any
		kind                 muxrpc.Kind
		answer, json, stream string // stream: the item, "" for none
	}{
		{"text", muxrpc.String, `text`, `"text"`, `text`},
		{"", muxrpc.JSON, `""`, `""`, `""`},
		{[]byte{0, 255}, muxrpc.Binary, "\x00\xff", `{"type":"Buffer","data":[0,255]}`, "\x00\xff"},
		{[]byte{}, muxrpc.JSON, `{"type":"Buffer","data":[]}`, `{"type":"Buffer","data":[]}`, ""},
		{nil, muxrpc.JSON, `false`, `false`, `null`},
		{json.RawMessage(`{"a": "\ud800<>&"}`), muxrpc.JSON, `{"a": "\ud800<>&"}`, `{"a": "\ud800<>&"}`, `{"a": "\ud800<>&"}`},
		{map[string]any{"a": "<>&"}, muxrpc.JSON, `{"a":"<>&"}`, `{"a":"<>&"}`, `{"a":"<>&"}`},
	} {
		value = c.value
		it, err := client.Call(ctx, "get")
		if err != nil || it.Kind != c.kind || string(it.Body) != c.answer {
			t.Errorf("%#v answered as %v %q, %v", c.value, it.Kind, it.Body, err)
		}
		if got, err := client.Async(ctx, "get"); err != nil || string(got) != c.json {
			t.Errorf("%#v answered as %s, %v; want %s", c.value, got, err, c.json)
		}
		st, err := client.Source(ctx, "stream")
		if err != nil {
			t.Fatal(err)
		}
		if c.stream != "" {
			if it, err := st.Recv(ctx); err != nil || string(it.Body) != c.stream {
				t.Errorf("%#v streamed as %q, %v", c.value, it.Body, err)
			}
		}
		if it, err := st.Recv(ctx); err != nil || it.Text() != "last" {
			t.Errorf("after %#v: %q, %v", c.value, it.Body, err)
		}
		st.Close(nil)
	}
	value = json.RawMessage(nil)
	if _, err := client.Async(ctx, "get"); err == nil || !strings.Contains(err.Error(), "empty JSON") {
		t.Errorf("empty JSON answered with %v", err)
	}
	if _, err := client.Async(ctx, "get", func() {}); err == nil || !strings.Contains(err.Error(), "encoding the arguments") {
		t.Errorf("a function as an argument: %v", err)
	}
}

// TestRemoteErrorPassesThrough checks that a peer's error can be handed on.
func TestRemoteErrorPassesThrough(t *testing.T) {
	m := muxrpc.NewMux()
	want := &muxrpc.RemoteError{Name: "TypeError", Message: "a <b> is not c", Stack: "somewhere"}
	m.Source("broken", func(context.Context, *muxrpc.Call, *muxrpc.Stream) error { return want })
	client, _ := pair(t, muxrpc.Config{Handler: m})
	st, err := client.Source(t.Context(), "broken")
	if err != nil {
		t.Fatal(err)
	}
	var got *muxrpc.RemoteError
	if _, err := st.Recv(t.Context()); !errors.As(err, &got) || *got != *want {
		t.Errorf("received %#v", err)
	}
}

// TestFairSenders lets many senders share a connection that is slow to read:
// none gets far ahead of the others.
func TestFairSenders(t *testing.T) {
	const streams, items = 16, 64
	client, _ := pair(t, muxrpc.Config{Handler: benchMux()})
	ctx := t.Context()
	var wg sync.WaitGroup
	for range streams {
		st, err := client.Source(ctx, "chunks", items)
		if err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			n := 0
			for {
				if _, err := st.Recv(ctx); err == io.EOF {
					break
				} else if err != nil {
					t.Error(err)
					break
				}
				n++
			}
			if n != items {
				t.Errorf("%d of %d items", n, items)
			}
		})
	}
	wg.Wait()
}

// TestReceivedBeforeTheCut checks that what arrived before a connection broke
// can still be received.
func TestReceivedBeforeTheCut(t *testing.T) {
	sess, conn := raw(t, muxrpc.Config{})
	st, err := sess.Source(t.Context(), "x")
	if err != nil {
		t.Fatal(err)
	}
	next(t, muxrpc.NewDecoder(conn, 0)) // the call went out; to write it now would fail and end the session
	conn.Write(item(-1, "1"))
	conn.Write(item(-1, "2"))
	conn.Close()
	sess.Wait()
	for _, want := range []string{"1", "2"} {
		if it, err := st.Recv(t.Context()); err != nil || string(it.Body) != want {
			t.Errorf("%s, %v; want %s", it.Body, err, want)
		}
	}
	if _, err := st.Recv(t.Context()); !errors.Is(err, muxrpc.ErrClosed) {
		t.Errorf("then %v", err)
	}
}

func TestPipe(t *testing.T) {
	a, b := muxrpc.Pipe()
	data := make([]byte, 1<<20) // more than is buffered
	go func() {
		a.Write(data)
		a.Close()
	}()
	if got, err := io.ReadAll(b); err != nil || len(got) != len(data) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if _, err := b.Write(data); err != io.ErrClosedPipe {
		t.Errorf("written to a closed end: %v", err)
	}
	b.Close()
	if _, err := b.Read(data); err != io.ErrClosedPipe {
		t.Errorf("read from a closed end: %v", err)
	}
}
