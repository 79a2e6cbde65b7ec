package muxrpc_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ssbsync/ssbsync/spec/internal/vectors"
	"github.com/ssbsync/ssbsync/spec/muxrpc"
)

// recording is a session recorded between two JavaScript peers.
type recording struct {
	ID, Note       string
	Result         json.RawMessage
	ClientToServer string            `json:"client_to_server_hex"`
	ServerToClient string            `json:"server_to_client_hex"`
	ClientPackets  []json.RawMessage `json:"client_packets"`
	ServerPackets  []json.RawMessage `json:"server_packets"`

	calls []*recordedCall
}

// recordedCall is what both sides sent for one call.
type recordedCall struct {
	req            int32
	client, server []muxrpc.Packet
	open           struct {
		Name []string
		Args []json.RawMessage
		Type muxrpc.Type
	}
}

func recordings(t testing.TB) []*recording {
	var all []*recording
	vectors.Lines(t, vectors.Files(t, "muxrpc", "sessions.jsonl"), func(line []byte) {
		r := new(recording)
		if err := json.Unmarshal(line, r); err != nil {
			t.Fatal(err)
		}
		client, server := decodeAll(t, unhex(t, r.ClientToServer)), decodeAll(t, unhex(t, r.ServerToClient))
		if len(client) != len(r.ClientPackets) || len(server) != len(r.ServerPackets) {
			t.Errorf("%s: %d and %d packets, want %d and %d", r.ID, len(client), len(server), len(r.ClientPackets), len(r.ServerPackets))
		}
		for i, text := range r.ClientPackets {
			checkPacket(t, r.ID, client[i], text)
		}
		for i, text := range r.ServerPackets {
			checkPacket(t, r.ID, server[i], text)
		}
		r.split(t, client, server)
		all = append(all, r)
	})
	return all
}

func decodeAll(t testing.TB, in []byte) (all []muxrpc.Packet) {
	t.Helper()
	dec := muxrpc.NewDecoder((*chunks)(&[][]byte{in}), 0)
	for {
		p, err := dec.Next()
		if err == io.EOF {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

// checkPacket compares p with the vector's description of it.
func checkPacket(t testing.TB, id string, p muxrpc.Packet, text json.RawMessage) {
	t.Helper()
	var want struct {
		Req         int32
		Stream, End bool
		Type        string
		Body        json.RawMessage
	}
	if string(text) == `"GOODBYE"` {
		if !p.Goodbye() {
			t.Errorf("%s: %+v is no goodbye", id, p)
		}
		return
	}
	if err := json.Unmarshal(text, &want); err != nil {
		t.Fatal(err)
	}
	body := []byte((muxrpc.Item{Kind: p.Kind, Body: p.Body}).JSON())
	if p.Kind == muxrpc.Binary {
		body = fmt.Appendf(nil, `{"b64":%s}`, must(json.Marshal(p.Body)))
	}
	if p.Req != want.Req || p.Stream != want.Stream || p.End != want.End || p.Kind.String() != want.Type || !sameJSON(body, want.Body) {
		t.Errorf("%s: decoded %+v, want %s", id, p, text)
	}
}

func must(b []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return b
}

// split sorts the packets by calls.
func (r *recording) split(t testing.TB, client, server []muxrpc.Packet) {
	byReq := make(map[int32]*recordedCall)
	for _, p := range client {
		if p.Goodbye() {
			continue
		}
		c := byReq[p.Req]
		if c == nil {
			c = &recordedCall{req: p.Req}
			if err := json.Unmarshal(p.Body, &c.open); err != nil {
				t.Fatal(err)
			}
			byReq[p.Req] = c
			r.calls = append(r.calls, c)
		}
		c.client = append(c.client, p)
	}
	for _, p := range server {
		if c := byReq[-p.Req]; c != nil {
			c.server = append(c.server, p)
		}
	}
}

// waitsForClient reports whether the server's end came after the client's.
func (c *recordedCall) waitsForClient() bool {
	return c.open.Type == muxrpc.Sink || c.open.Type == muxrpc.Duplex
}

// transcript collects the packets read from a connection, by request.
type transcript struct {
	mu      sync.Mutex
	changed chan struct{}
	packets map[int32][]muxrpc.Packet
}

func record(conn io.Reader) *transcript {
	tr := &transcript{changed: make(chan struct{}, 1), packets: make(map[int32][]muxrpc.Packet)}
	go func() {
		dec := muxrpc.NewDecoder(conn, 0)
		for {
			p, err := dec.Next()
			if err != nil {
				return
			}
			tr.mu.Lock()
			tr.packets[p.Req] = append(tr.packets[p.Req], p)
			tr.mu.Unlock()
			select {
			case tr.changed <- struct{}{}:
			default:
			}
		}
	}()
	return tr
}

// waitFor waits until packets of req satisfy ok, and returns them.
func (tr *transcript) waitFor(t testing.TB, req int32, ok func([]muxrpc.Packet) bool) []muxrpc.Packet {
	t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		tr.mu.Lock()
		got := slices.Clone(tr.packets[req])
		tr.mu.Unlock()
		if ok(got) {
			return got
		}
		select {
		case <-tr.changed:
		case <-deadline:
			t.Fatalf("request %d: waited in vain, got %+v", req, got)
		}
	}
}

func hasEnd(ps []muxrpc.Packet) bool { return len(ps) > 0 && ps[len(ps)-1].End }

func samePackets(a, b []muxrpc.Packet) bool { return slices.EqualFunc(a, b, samePacket) }

// TestSessionVectorsClient calls as the recorded clients did, answers with what
// the recorded servers sent, and compares what goes out and what comes in.
func TestSessionVectorsClient(t *testing.T) {
	for _, r := range recordings(t) {
		a, b := muxrpc.Pipe()
		sess, tr := muxrpc.NewSession(a, muxrpc.Config{}), record(b)
		var results []json.RawMessage
		for _, c := range r.calls {
			results = append(results, replayCall(t, r.ID, sess, c, tr, b))
			got := tr.waitFor(t, c.req, func(ps []muxrpc.Packet) bool { return len(ps) >= len(c.client) })
			if !samePackets(got, c.client) {
				t.Errorf("%s: client sent %+v, want %+v", r.ID, got, c.client)
			}
		}
		checkResults(t, r, results)
		b.Write(make([]byte, 9))
		if err := sess.Wait(); err != nil {
			t.Errorf("%s: %v", r.ID, err)
		}
	}
}

// replayCall makes the recorded call and returns {"value":…}, {"items":…} or
// {"error":…}.
func replayCall(t *testing.T, id string, sess *muxrpc.Session, c *recordedCall, tr *transcript, peer io.Writer) json.RawMessage {
	ctx := t.Context()
	args := make([]any, len(c.open.Args))
	for i, arg := range c.open.Args {
		args[i] = arg
	}
	name := strings.Join(c.open.Name, ".")
	answer := func() {
		tr.waitFor(t, c.req, func(ps []muxrpc.Packet) bool { return len(ps) > 0 })
		for _, p := range c.server {
			if p.End && c.waitsForClient() && hasEnd(c.client) {
				tr.waitFor(t, c.req, hasEnd)
			}
			peer.Write(p.Append(nil))
		}
	}
	if c.open.Type == "" {
		go answer()
		value, err := sess.Async(ctx, name, args...)
		return result("value", value, err)
	}
	open := map[muxrpc.Type]func(context.Context, string, ...any) (*muxrpc.Stream, error){
		muxrpc.Source: sess.Source, muxrpc.Sink: sess.Sink, muxrpc.Duplex: sess.Duplex}[c.open.Type]
	st, err := open(ctx, name, args...)
	if err != nil {
		t.Fatalf("%s: %v", id, err)
	}
	go answer()
	for _, p := range c.client[1:] {
		if p.End {
			break
		}
		if err := st.Send(ctx, muxrpc.Item{Kind: p.Kind, Body: p.Body}); err != nil {
			t.Fatalf("%s: %v", id, err)
		}
	}
	if c.waitsForClient() && hasEnd(c.client) {
		st.CloseSend()
	}
	return receiveAll(ctx, st)
}

// receiveAll returns {"items":…} or {"error":…}.
func receiveAll(ctx context.Context, st *muxrpc.Stream) json.RawMessage {
	items := []json.RawMessage{}
	for {
		it, err := st.Recv(ctx)
		if err == io.EOF {
			return result("items", items, nil)
		}
		if err != nil {
			return result("", nil, err)
		}
		value := it.JSON()
		if it.Kind == muxrpc.Binary {
			value = fmt.Appendf(nil, `{"b64":%s}`, must(json.Marshal(it.Body)))
		}
		items = append(items, value)
	}
}

func result(key string, value any, err error) json.RawMessage {
	if err != nil {
		key, value = "error", err.Error()
	}
	return must(json.Marshal(map[string]any{key: value}))
}

// checkResults compares with what the recorded caller saw: values and items
// are the same (items may have been left unread), an error is an error.
func checkResults(t *testing.T, r *recording, got []json.RawMessage) {
	t.Helper()
	var want []json.RawMessage
	if json.Unmarshal(r.Result, &want) != nil {
		want = []json.RawMessage{r.Result}
	}
	for i := range got {
		var w, g struct {
			Value json.RawMessage
			Items []any
			Error any
		}
		json.Unmarshal(want[i], &w)
		json.Unmarshal(got[i], &g)
		if r.calls[i].open.Type == muxrpc.Sink && w.Error == nil {
			g.Error = nil // a JavaScript sink reports success once it has sent its end
		}
		if (w.Error != nil) != (g.Error != nil) || w.Value != nil && !sameJSON(w.Value, g.Value) {
			t.Errorf("%s: call %d gave %s, want %s", r.ID, i, got[i], want[i])
		}
		if g.Error == nil && (len(w.Items) > len(g.Items) || fmt.Sprint(w.Items) != fmt.Sprint(g.Items[:len(w.Items)])) {
			t.Errorf("%s: call %d gave %s, want %s", r.ID, i, got[i], want[i])
		}
	}
}

// TestSessionVectorsServer feeds what the recorded clients sent to a session
// whose handler answers like the recorded servers, and compares what goes out.
func TestSessionVectorsServer(t *testing.T) {
	for _, r := range recordings(t) {
		a, b := muxrpc.Pipe()
		sess, tr := muxrpc.NewSession(a, muxrpc.Config{Handler: replayHandler(r.calls)}), record(b)
		for _, c := range r.calls {
			for i, p := range c.client {
				if i > 0 && p.End && c.open.Type == muxrpc.Source {
					tr.waitFor(t, -c.req, hasEnd)
				}
				b.Write(p.Append(nil))
			}
			got := tr.waitFor(t, -c.req, func(ps []muxrpc.Packet) bool { return len(ps) >= len(c.server) })
			if !samePackets(got, c.server) {
				t.Errorf("%s: server sent %+v, want %+v", r.ID, got, c.server)
			}
		}
		b.Write(make([]byte, 9))
		if err := sess.Wait(); err != nil {
			t.Errorf("%s: %v", r.ID, err)
		}
	}
}

// replayHandler answers calls as recorded; it knows them by name and arguments.
type replayHandler []*recordedCall

func (h replayHandler) HandleCall(ctx context.Context, call *muxrpc.Call) error {
	i := slices.IndexFunc(h, func(c *recordedCall) bool {
		return slices.Equal(c.open.Name, call.Method) && sameJSON(must(json.Marshal(c.open.Args)), call.Args)
	})
	if i < 0 {
		return fmt.Errorf("unexpected call of %s", call.Name())
	}
	for _, p := range h[i].server {
		it := muxrpc.Item{Kind: p.Kind, Body: p.Body}
		if p.End {
			if call.Stream != nil && h[i].waitsForClient() {
				drain(ctx, call.Stream)
			}
			return wireError(p)
		}
		if call.Stream == nil {
			return call.Return(it)
		}
		if err := call.Stream.Send(ctx, it); err != nil {
			return err
		}
	}
	return errors.New("the recorded server did not end this call")
}

func drain(ctx context.Context, st *muxrpc.Stream) {
	for {
		if _, err := st.Recv(ctx); err != nil {
			return
		}
	}
}

// wireError makes the error that a recorded end stands for.
func wireError(p muxrpc.Packet) error {
	if string(p.Body) == "true" {
		return nil
	}
	e := new(muxrpc.RemoteError)
	json.Unmarshal(p.Body, e)
	return e
}
