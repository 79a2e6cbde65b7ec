package muxrpc_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	"github.com/ssbsync/ssbsync/spec/muxrpc"
)

// raw starts a session that serves testMux (unless c says otherwise) and
// returns it with the other end of its connection.
func raw(t testing.TB, c muxrpc.Config) (*muxrpc.Session, io.ReadWriteCloser) {
	t.Helper()
	if c.Handler == nil {
		c.Handler = testMux()
	}
	a, b := muxrpc.Pipe()
	c.Log = slog.New(slog.DiscardHandler)
	sess := muxrpc.NewSession(a, c)
	t.Cleanup(func() {
		b.Close()
		if err := within(t, sess.Wait); err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.ErrClosedPipe) {
			t.Logf("session ended: %v", err)
		}
	})
	return sess, b
}

// within fails the test when f takes more than 20 seconds, which is far more
// than anything here should.
func within(t testing.TB, f func() error) error {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- f() }()
	select {
	case err := <-done:
		return err
	case <-time.After(20 * time.Second):
		t.Fatal("took more than 20 seconds")
		return nil
	}
}

func open(req int32, typ muxrpc.Type, method string, args string) []byte {
	body := fmt.Sprintf(`{"name":["%s"],"args":%s`, strings.ReplaceAll(method, ".", `","`), args)
	if typ != "" {
		body += fmt.Sprintf(`,"type":"%s"`, typ)
	}
	return (&muxrpc.Packet{Req: req, Stream: typ != "", Kind: muxrpc.JSON, Body: []byte(body + "}")}).Append(nil)
}

func item(req int32, body string) []byte {
	return (&muxrpc.Packet{Req: req, Stream: true, Kind: muxrpc.JSON, Body: []byte(body)}).Append(nil)
}

func end(req int32) []byte {
	return (&muxrpc.Packet{Req: req, Stream: true, End: true, Kind: muxrpc.JSON, Body: []byte("true")}).Append(nil)
}

// next reads one packet and describes it.
func next(t testing.TB, dec *muxrpc.Decoder) string {
	t.Helper()
	p, err := dec.Next()
	if err != nil {
		t.Fatal(err)
	}
	if p.Goodbye() {
		return "goodbye"
	}
	return fmt.Sprintf("%d stream=%v end=%v %s", p.Req, p.Stream, p.End, p.Body)
}

func TestBadCalls(t *testing.T) {
	for _, c := range []struct {
		name   string
		packet []byte
		want   string // in the answer
	}{
		{"no object", item(1, `7`), "invalid request: 7"},
		{"no name", item(1, `{"args":[],"type":"source"}`), "name should be array of strings"},
		{"no method", item(1, `{"name":[],"args":[],"type":"source"}`), "name should be array of strings"},
		{"numbers for a name", item(1, `{"name":[1],"args":[],"type":"source"}`), "name should be array of strings"},
		{"type of another kind", item(1, `{"name":["count"],"args":[],"type":"async"}`), "unsupported stream type: async"},
		{"type is a number", item(1, `{"name":["count"],"args":[],"type":1}`), "invalid request"},
		{"not JSON", item(1, `{"name":["count"]`), "invalid request"},
		{"args are no array", open(1, "", "hello", `{"0":"bob"}`), "args should be array"},
		{"too large", open(1, "", "hello", `["`+strings.Repeat("x", 300<<10)+`"]`), "the limit is"},
		{"wrong argument", open(1, "", "hello", `[5]`), "argument 1"},
		{"async of a source", open(1, "", "count", `[5]`), "no async:count"},
		{"source of an async", open(1, muxrpc.Source, "hello", `[5]`), "no source:hello"},
		{"duplex of a source", open(1, muxrpc.Duplex, "count", `[5]`), "no duplex:count"},
		{"unknown", open(1, muxrpc.Source, "a.b", `[5]`), "no source:a,b"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, conn := raw(t, muxrpc.Config{})
			conn.Write(c.packet)
			conn.Write(open(2, "", "hello", `["again"]`)) // one bad call does not end the session
			dec := muxrpc.NewDecoder(conn, 0)
			got := []string{next(t, dec), next(t, dec)}
			if strings.HasPrefix(got[0], "-2") { // served concurrently
				got[0], got[1] = got[1], got[0]
			}
			if !strings.HasPrefix(got[0], "-1 ") || !strings.Contains(got[0], "end=true") || !strings.Contains(got[0], c.want) {
				t.Errorf("answer %s, want %q", got[0], c.want)
			}
			if got[1] != "-2 stream=false end=false hello again" {
				t.Errorf("next answer %s", got[1])
			}
		})
	}
}

// TestStrayPackets sends packets that belong to nothing; none is answered.
func TestStrayPackets(t *testing.T) {
	_, conn := raw(t, muxrpc.Config{})
	for _, p := range [][]byte{
		item(-1, `1`), end(-1), end(9), item(-1<<31, `1`), item(0, `["event"]`),
		(&muxrpc.Packet{Req: -5, Kind: muxrpc.JSON, Body: []byte("1")}).Append(nil),
		(&muxrpc.Packet{Req: 5, Stream: true}).Append(nil), // as ssb-server ends some blobs
		open(1, "", "hello", `["bob"]`),
	} {
		conn.Write(p)
	}
	if got := next(t, muxrpc.NewDecoder(conn, 0)); got != "-1 stream=false end=false hello bob" {
		t.Errorf("answer %s", got)
	}
}

func TestEmptyChunkWithinStream(t *testing.T) {
	sess, conn := raw(t, muxrpc.Config{})
	st, err := sess.Source(t.Context(), "blobs.get", "&x")
	if err != nil {
		t.Fatal(err)
	}
	conn.Write((&muxrpc.Packet{Req: -1, Stream: true, Body: []byte("chunk")}).Append(nil))
	conn.Write((&muxrpc.Packet{Req: -1, Stream: true}).Append(nil))
	conn.Write(end(-1))
	if it, err := st.Recv(t.Context()); err != nil || string(it.Body) != "chunk" {
		t.Errorf("%s, %v", it.Body, err)
	}
	if _, err := st.Recv(t.Context()); err != io.EOF {
		t.Errorf("end: %v", err)
	}
}

func TestGoodbye(t *testing.T) {
	sess, conn := raw(t, muxrpc.Config{})
	conn.Write(append(make([]byte, 9), "junk after the goodbye"...))
	if got := next(t, muxrpc.NewDecoder(conn, 0)); got != "goodbye" {
		t.Errorf("answer %s", got)
	}
	if err := within(t, sess.Wait); err != nil {
		t.Errorf("session: %v", err)
	}
	if _, err := sess.Async(t.Context(), "hello"); !errors.Is(err, muxrpc.ErrClosed) {
		t.Errorf("call after the end: %v", err)
	}
}

// TestEnd checks that whatever ends a session fails all that is pending.
func TestEnd(t *testing.T) {
	for name, cut := range map[string]func(*muxrpc.Session, io.ReadWriteCloser){
		"close":   func(s *muxrpc.Session, conn io.ReadWriteCloser) { go s.Close(); io.Copy(io.Discard, conn) },
		"goodbye": func(_ *muxrpc.Session, conn io.ReadWriteCloser) { conn.Write(make([]byte, 9)) },
		"cut":     func(_ *muxrpc.Session, conn io.ReadWriteCloser) { conn.Close() },
		"junk":    func(_ *muxrpc.Session, conn io.ReadWriteCloser) { conn.Write(bytes.Repeat([]byte{0xff}, 100)) },
		"4 GiB":   func(_ *muxrpc.Session, conn io.ReadWriteCloser) { conn.Write(unhex(t, "0affffffff00000001")) },
	} {
		t.Run(name, func(t *testing.T) {
			sess, conn := raw(t, muxrpc.Config{})
			ctx := t.Context()
			src, err := sess.Source(ctx, "x")
			if err != nil {
				t.Fatal(err)
			}
			async := make(chan error)
			go func() {
				_, err := sess.Async(ctx, "y")
				async <- err
			}()
			time.Sleep(time.Millisecond)
			go cut(sess, conn)
			if err := within(t, func() error { return <-async }); !errors.Is(err, muxrpc.ErrClosed) {
				t.Errorf("async: %v", err)
			}
			if err := within(t, func() error { _, err := src.Recv(ctx); return err }); !errors.Is(err, muxrpc.ErrClosed) {
				t.Errorf("source: %v", err)
			}
			if err := src.Send(ctx, 1); err == nil {
				t.Error("sent after the end")
			}
			src.Close(nil)
			conn.Close()
		})
	}
}

// TestManyStreams opens 10,000 streams: those over the limit are refused, the
// others served.
func TestManyStreams(t *testing.T) {
	const streams, limit = 10_000, 100
	block := make(chan struct{})
	m := muxrpc.NewMux()
	m.Source("wait", func(ctx context.Context, _ *muxrpc.Call, st *muxrpc.Stream) error {
		select {
		case <-block:
		case <-ctx.Done():
		}
		return nil
	})
	before := runtime.NumGoroutine()
	sess, conn := raw(t, muxrpc.Config{Handler: m, MaxCalls: limit})
	go func() {
		for i := range int32(streams) {
			conn.Write(open(i+1, muxrpc.Source, "wait", "[]"))
		}
	}()
	dec, refused := muxrpc.NewDecoder(conn, 0), 0
	for range streams - limit {
		if got := next(t, dec); strings.Contains(got, "too many open calls: the limit is 100") {
			refused++
		}
	}
	if refused != streams-limit {
		t.Errorf("%d refused, want %d", refused, streams-limit)
	}
	if n := runtime.NumGoroutine() - before; n > limit+10 {
		t.Errorf("%d goroutines for %d calls", n, limit)
	}
	close(block)
	for i := range int32(limit) {
		if got := next(t, dec); !strings.HasSuffix(got, "stream=true end=true true") {
			t.Errorf("call %d ended with %s", i, got)
		}
		conn.Write(end(i + 1))
	}
	conn.Write(open(streams+1, muxrpc.Source, "wait", "[]")) // there is room again
	if got := next(t, dec); got != "-10001 stream=true end=true true" {
		t.Errorf("after all: %s", got)
	}
	conn.Write(make([]byte, 9))
	if err := within(t, sess.Wait); err != nil {
		t.Error(err)
	}
}

// TestPeerThatNeverReads checks that nothing grows or hangs for such a peer.
func TestPeerThatNeverReads(t *testing.T) {
	sess, conn := raw(t, muxrpc.Config{})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	st, err := sess.Sink(t.Context(), "take")
	if err != nil {
		t.Fatal(err)
	}
	chunk, sent := make([]byte, 64<<10), 0
	for ; err == nil; sent++ {
		err = st.Send(ctx, chunk)
	}
	if !errors.Is(err, context.DeadlineExceeded) || sent > 20 {
		t.Errorf("%d chunks sent, then %v", sent, err)
	}
	go func() { // what must be answered and is never read ends the session
		flood := bytes.Repeat(open(1, "", strings.Repeat("x", 100), "7"), 100)
		for {
			if _, err := conn.Write(flood); err != nil {
				return
			}
		}
	}()
	if err := within(t, sess.Wait); err == nil || !strings.Contains(err.Error(), "does not read") {
		t.Errorf("session: %v", err)
	}
}

// TestSlowReceiver checks that a stream that is not received stops the peer,
// holds up nothing until its window is full, and nothing once it is closed.
func TestSlowReceiver(t *testing.T) {
	var sent atomic.Int64
	stopped, some10 := make(chan struct{}), make(chan struct{})
	m := testMux()
	m.Source("flood", func(ctx context.Context, _ *muxrpc.Call, st *muxrpc.Stream) error {
		for st.Send(ctx, make([]byte, 10_000)) == nil {
			sent.Add(10_000)
		}
		close(stopped)
		return nil
	})
	m.Source("some", func(ctx context.Context, _ *muxrpc.Call, st *muxrpc.Stream) error {
		for range 10 {
			st.Send(ctx, make([]byte, 10_000))
		}
		close(some10)
		return nil
	})
	client, _ := pair(t, muxrpc.Config{Handler: m, Window: 200_000})
	ctx := t.Context()
	some, err := client.Source(ctx, "some") // fits into its window
	if err != nil {
		t.Fatal(err)
	}
	<-some10
	if _, err := client.Async(ctx, "hello", "there"); err != nil { // comes behind them
		t.Fatal(err)
	}
	flood, err := client.Source(ctx, "flood")
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(20 * time.Millisecond)
	for range 10 {
		if _, err := some.Recv(ctx); err != nil {
			t.Fatal(err)
		}
	}
	// The window, and what is under way: a pipe, a write and the next one.
	if n := sent.Load(); n > 200_000+3*(256<<10)+100_000 {
		t.Errorf("%d bytes were sent to a receiver that did not take any", n)
	}
	flood.Close(nil)
	if _, err := client.Async(ctx, "hello", "again"); err != nil {
		t.Fatal(err)
	}
	<-stopped
	if _, err := flood.Recv(ctx); err != muxrpc.ErrStreamClosed {
		t.Errorf("received after closing: %v", err)
	}
}

// TestContextEndsSource checks that the callee learns when the caller's context
// ends.
func TestContextEndsSource(t *testing.T) {
	over := make(chan error, 1)
	m := muxrpc.NewMux()
	m.Source("live", func(ctx context.Context, _ *muxrpc.Call, st *muxrpc.Stream) error {
		st.Send(ctx, "first")
		<-ctx.Done()
		over <- st.Send(ctx, "late")
		return nil
	})
	client, _ := pair(t, muxrpc.Config{Handler: m})
	reason := errors.New("seen enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	st, err := client.Source(ctx, "live")
	if err != nil {
		t.Fatal(err)
	}
	if it, err := st.Recv(t.Context()); err != nil || it.Text() != "first" {
		t.Fatalf("%s, %v", it.Body, err)
	}
	cancel(reason)
	if err := within(t, func() error { return <-over }); err == nil {
		t.Error("the callee could still send")
	}
	if _, err := st.Recv(t.Context()); err != reason {
		t.Errorf("received %v, want %v", err, reason)
	}
}

func TestBaseContextEndsSession(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	sess, conn := raw(t, muxrpc.Config{Context: ctx})
	cancel()
	if got := next(t, muxrpc.NewDecoder(conn, 0)); got != "goodbye" {
		t.Errorf("%s, want a goodbye", got)
	}
	conn.Close()
	if err := within(t, sess.Wait); err != context.Canceled {
		t.Errorf("session: %v", err)
	}
}

// trickle delivers one byte a read.
type trickle struct {
	io.ReadWriteCloser
	one io.Reader
}

func (c trickle) Read(p []byte) (int, error) { return c.one.Read(p) }

func TestOneByteAtATime(t *testing.T) {
	a, b := muxrpc.Pipe()
	c := muxrpc.Config{Handler: testMux()}
	client := muxrpc.NewSession(trickle{a, iotest.OneByteReader(a)}, c)
	server := muxrpc.NewSession(trickle{b, iotest.OneByteReader(b)}, c)
	src, err := client.Source(t.Context(), "count", 100)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 100 {
		if it, err := src.Recv(t.Context()); err != nil || string(it.Body) != fmt.Sprint(i) {
			t.Fatalf("item %d: %s, %v", i, it.Body, err)
		}
	}
	if got, err := client.Async(t.Context(), "hello", "ü"); err != nil || string(got) != `"hello ü"` {
		t.Errorf("%s, %v", got, err)
	}
	client.Close()
	if err := within(t, server.Wait); err != nil {
		t.Error(err)
	}
}

// TestCutEverywhere cuts recorded sessions at every byte, before either role.
func TestCutEverywhere(t *testing.T) {
	cuts := 0
	for _, r := range recordings(t) {
		toServer, toClient := unhex(t, r.ClientToServer), unhex(t, r.ServerToClient)
		for n := range len(toServer) {
			sess, conn := raw(t, muxrpc.Config{})
			conn.Write(toServer[:n])
			conn.Close()
			if err := within(t, sess.Wait); err == nil {
				t.Errorf("%s: cut at byte %d and no error", r.ID, n)
			}
			cuts++
		}
		for n := range len(toClient) {
			sess, conn := raw(t, muxrpc.Config{})
			sess.Source(t.Context(), "x")
			st, err := sess.Duplex(t.Context(), "y")
			if err != nil {
				t.Fatal(err)
			}
			conn.Write(toClient[:n])
			conn.Close()
			if err := within(t, sess.Wait); err == nil {
				t.Errorf("%s: cut at byte %d and no error", r.ID, n)
			}
			st.Finish(t.Context())
			cuts++
		}
	}
	t.Logf("%d cuts", cuts)
}

func FuzzSession(f *testing.F) {
	f.Add(bytes.Join([][]byte{open(1, "", "hello", `["bob"]`), open(2, muxrpc.Source, "count", "[9]"), end(2), make([]byte, 9)}, nil))
	f.Add(bytes.Join([][]byte{open(1, muxrpc.Duplex, "echo", "[]"), item(1, "1"), item(1, "2"), end(1)}, nil))
	f.Add(bytes.Join([][]byte{open(1, muxrpc.Sink, "sum", "[]"), item(1, "1"), end(1), item(-1, "1"), item(-2, "2"), end(-1), end(-2)}, nil))
	f.Fuzz(func(t *testing.T, in []byte) {
		a, b := muxrpc.Pipe()
		sess := muxrpc.NewSession(a, muxrpc.Config{
			Handler: testMux(), MaxBody: 1 << 16, Window: 1 << 12, MaxCalls: 8, Log: slog.New(slog.DiscardHandler)})
		src, _ := sess.Source(t.Context(), "x")
		dup, _ := sess.Duplex(t.Context(), "y")
		go io.Copy(io.Discard, b)
		done := make(chan error)
		go func() {
			_, err := b.Write(in)
			b.Close()
			done <- err
		}()
		for _, st := range []*muxrpc.Stream{src, dup} {
			if st != nil {
				within(t, func() error { return st.Finish(t.Context()) })
			}
		}
		within(t, func() error { return <-done })
		within(t, sess.Wait)
	})
}
