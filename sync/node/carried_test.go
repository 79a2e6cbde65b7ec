package node_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/ssbsync/ssbsync/spec/keys"
	"github.com/ssbsync/ssbsync/spec/message"
	"github.com/ssbsync/ssbsync/spec/muxrpc"
	"github.com/ssbsync/ssbsync/store"
	"github.com/ssbsync/ssbsync/sync/node"
)

// chain makes messages of somebody.
func chain(t testing.TB, pair *keys.Pair, n int) (msgs []*message.Message) {
	t.Helper()
	head := message.Head{Feed: pair.Feed()}
	for range n {
		m, err := message.Create(pair, head, fmt.Appendf(nil, `{"type":"post","text":"%d"}`, head.Seq+1), float64(head.Seq+1), nil)
		if err != nil {
			t.Fatal(err)
		}
		if head, err = head.Next(m); err != nil {
			t.Fatal(err)
		}
		msgs = append(msgs, m)
	}
	return msgs
}

// pipe connects to a node that is no server.
func pipe(t testing.TB, n *node.Node) *muxrpc.Session {
	t.Helper()
	near, far := muxrpc.Pipe()
	served := make(chan error, 1)
	go func() { served <- n.Serve(context.Background(), far) }()
	t.Cleanup(func() { <-served })
	return muxrpc.NewSession(near, muxrpc.Config{})
}

// status asks a node for its state.
func status(t testing.TB, session *muxrpc.Session) (s node.Status) {
	t.Helper()
	answer, err := session.Async(context.Background(), "ssbsync.status")
	if err == nil {
		err = json.Unmarshal(answer, &s)
	}
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// send begins an import of messages that come as a stream.
func send(t testing.TB, s *muxrpc.Session, msgs []*message.Message) *muxrpc.Stream {
	t.Helper()
	stream, err := s.Duplex(context.Background(), "ssbsync.importStream", node.Carriage{Name: "test"})
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range msgs {
		if err := stream.Send(context.Background(), append(m.Value(), '\n')); err != nil {
			t.Fatal(err)
		}
	}
	return stream
}

// importAll is send to the end.
func importAll(t testing.TB, s *muxrpc.Session, msgs []*message.Message) {
	t.Helper()
	stream := send(t, s, msgs)
	err := stream.CloseSend()
	for err == nil {
		_, err = stream.Recv(context.Background())
	}
	if !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
}

// await waits until the state of a node is as it should be.
func await(t testing.TB, s *muxrpc.Session, feeds, carried int) {
	t.Helper()
	var got node.Status
	for range 500 {
		if got = status(t, s); got.Feeds == feeds && got.Carried == carried {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("%d feeds, %d carried; want %d, %d", got.Feeds, got.Carried, feeds, carried)
}

// TestCarried: what the user imports is carried from then on, also when only a
// part of it came or it does not attach yet, and what is wanted anyway is not.
func TestCarried(t *testing.T) {
	r := start(t, `{}`)
	s := r.socket(t)
	friend := chain(t, stranger(t), 3)
	publish(t, s, fmt.Sprintf(`{"type":"contact","contact":"%s","following":true}`, friend[0].Feed()))
	importAll(t, s, append(friend, chain(t, stranger(t), 3)...))
	if got := status(t, s); got.Feeds != 3 || got.Carried != 1 {
		t.Errorf("%d feeds, %d carried", got.Feeds, got.Carried)
	}
	importAll(t, s, chain(t, stranger(t), 3)[1:])
	if got := status(t, s); got.Waiting.Messages != 2 || got.Carried != 2 {
		t.Errorf("%+v, %d carried", got.Waiting, got.Carried)
	}
	stream := send(t, s, chain(t, stranger(t), 50))
	await(t, s, 4, 2)
	stream.Close(errors.New("unplugged"))
	await(t, s, 4, 3)
}

// TestCarriedAfterKill opens a home in which an import was killed between
// storing messages and noting what to carry.
func TestCarriedAfterKill(t *testing.T) {
	home := t.TempDir()
	if err := os.Mkdir(filepath.Join(home, "ssbsync"), 0o700); err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(filepath.Join(home, "ssbsync", "store.db"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	before, after := chain(t, stranger(t), 2), chain(t, stranger(t), 3)
	_, err = s.Append(append(before, after[:2]...))
	err = errors.Join(err, s.SetCursor("node.carrying", 1+s.Last()-2))
	_, err2 := s.Append(after[2:])
	if err := errors.Join(err, err2, s.Close()); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time nothing is left to do
		n, err := node.Open(node.Options{Home: home})
		if err != nil {
			t.Fatal(err)
		}
		session := pipe(t, n)
		if got := status(t, session); got.Carried != 1 || got.Feeds != 2 {
			t.Errorf("%d feeds, %d carried", got.Feeds, got.Carried)
		}
		session.Close()
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	}
}
