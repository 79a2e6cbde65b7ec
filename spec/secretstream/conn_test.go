package secretstream_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/ssbsync/ssbsync/spec/secretstream"
)

var (
	boxKey   = [32]byte{1, 2, 3}
	boxNonce = [24]byte{4, 5, 6}
)

// sealed returns the packets of some writes and a goodbye.
func sealed(writes ...[]byte) []byte {
	conn := newTape()
	s := secretstream.NewConn(conn, boxKey, boxNonce, [32]byte{}, [24]byte{})
	for _, w := range writes {
		s.Write(w)
	}
	s.Close()
	return conn.out.Bytes()
}

// opener returns a connection that receives a stream.
func opener(r io.Reader) *secretstream.Conn {
	return secretstream.NewConn(&tape{in: r}, [32]byte{}, [24]byte{}, boxKey, boxNonce)
}

var (
	first  = bytes.Repeat([]byte("first "), 20)
	second = bytes.Repeat([]byte("second "), 20)
)

// TestStreamTampered changes, one after the other, each byte of a stream: only
// what came before the packet with it is delivered.
func TestStreamTampered(t *testing.T) {
	stream := sealed(first, second)
	for at := range stream {
		got, err := io.ReadAll(opener(&tamper{r: bytes.NewReader(stream), at: at}))
		want := append(bytes.Clone(first), second...)
		switch {
		case at < 34+len(first):
			want = nil
		case at < 2*34+len(first)+len(second):
			want = first
		}
		if err == nil || !bytes.Equal(got, want) {
			t.Errorf("byte %d changed: %d bytes, %v", at, len(got), err)
		}
	}
	t.Logf("%d bytes", len(stream))
}

// TestStreamCut ends a stream after each byte, which is never a clean end.
func TestStreamCut(t *testing.T) {
	stream := sealed(first, second)
	for n := range stream {
		if _, err := io.ReadAll(opener(bytes.NewReader(stream[:n]))); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("cut after byte %d: %v", n, err)
		}
	}
}

func TestStreamReplayed(t *testing.T) {
	stream := sealed(first, second)
	packet := stream[:34+len(first)]
	got, err := io.ReadAll(opener(bytes.NewReader(append(bytes.Clone(packet), stream...))))
	if err == nil || !bytes.Equal(got, first) {
		t.Errorf("first packet twice: %d bytes, %v", len(got), err)
	}
}

func TestJunkAfterGoodbye(t *testing.T) {
	s := opener(io.MultiReader(bytes.NewReader(sealed(first)), bytes.NewReader(sealed(second)), iotest.ErrReader(errors.New("read on"))))
	if got, err := io.ReadAll(s); err != nil || !bytes.Equal(got, first) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if _, err := s.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("after the end: %v", err)
	}
}

// TestReadSizes reads with buffers of every size around those of the bodies.
func TestReadSizes(t *testing.T) {
	want := bytes.Repeat([]byte("0123456789"), 2_000)
	stream := sealed(want)
	for _, size := range []int{1, 7, 4095, 4096, 4097, 1 << 16} {
		s, got := opener(iotest.HalfReader(bytes.NewReader(stream))), []byte(nil)
		for buf := make([]byte, size); ; {
			n, err := s.Read(buf)
			got = append(got, buf[:n]...)
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(got, want) {
			t.Errorf("buffers of %d bytes: %d of %d bytes", size, len(got), len(want))
		}
	}
}

// counted counts the writes to a connection.
type counted struct {
	*tape
	writes int
}

func (c *counted) Write(p []byte) (int, error) {
	c.writes++
	return c.tape.Write(p)
}

// TestOneWrite checks that what is written at once goes out at once.
func TestOneWrite(t *testing.T) {
	for _, c := range []struct{ size, writes int }{{0, 0}, {1, 1}, {4096, 1}, {4097, 1}, {64 << 10, 1}, {64<<10 + 1, 2}} {
		conn := &counted{tape: newTape()}
		s := secretstream.NewConn(conn, boxKey, boxNonce, [32]byte{}, [24]byte{})
		if n, err := s.Write(make([]byte, c.size)); n != c.size || err != nil {
			t.Errorf("%d bytes: %d, %v", c.size, n, err)
		}
		if conn.writes != c.writes {
			t.Errorf("%d bytes went out in %d writes, want %d", c.size, conn.writes, c.writes)
		}
	}
}

// TestCloseWithStuckPeer closes while a Write waits for a peer that does not
// read.
func TestCloseWithStuckPeer(t *testing.T) {
	a, b := net.Pipe()
	defer b.Close()
	s := secretstream.NewConn(a, boxKey, boxNonce, boxKey, boxNonce)
	var wg sync.WaitGroup
	wg.Go(func() {
		if _, err := s.Write(first); err == nil {
			t.Error("written to a peer that does not read")
		}
	})
	wg.Go(func() {
		if _, err := s.Read(make([]byte, 1)); err == nil {
			t.Error("read something")
		}
	})
	time.Sleep(time.Millisecond)
	begin := time.Now()
	s.Close()
	if took := time.Since(begin); took > 3*time.Second {
		t.Errorf("closing took %v", took)
	}
	wg.Wait()
}

func FuzzOpen(f *testing.F) {
	f.Add(sealed(), 0)
	f.Add(sealed(first, second), 3)
	f.Add(sealed(make([]byte, 10_000)), 5_000)
	f.Fuzz(func(t *testing.T, stream []byte, size int) {
		want := append(bytes.Clone(first), second...)
		whole := bytes.Equal(stream, sealed(first, second))
		s := opener(iotest.DataErrReader(bytes.NewReader(stream)))
		var got bytes.Buffer
		_, err := io.CopyBuffer(struct{ io.Writer }{&got}, struct{ io.Reader }{s}, make([]byte, min(max(size, 1), 1<<16)))
		if whole && (err != nil || !bytes.Equal(got.Bytes(), want)) {
			t.Errorf("%d bytes, %v", got.Len(), err)
		}
	})
}

func FuzzHandshake(f *testing.F) {
	f.Add(make([]byte, 64+112))
	f.Fuzz(func(t *testing.T, in []byte) {
		if _, err := secretstream.Server(t.Context(), newTape(in), network, bob, nil); err == nil {
			t.Error("server finished with forged messages")
		}
		if _, err := secretstream.Client(t.Context(), newTape(in), network, alice, bob.Feed()); err == nil {
			t.Error("client finished with forged messages")
		}
	})
}

func BenchmarkHandshake(b *testing.B) {
	for b.Loop() {
		one, two := net.Pipe()
		client, server := shake(b.Context(), one, two)
		if client.err != nil || server.err != nil {
			b.Fatal(client.err, server.err)
		}
		one.Close()
		two.Close()
	}
}

func BenchmarkThroughput(b *testing.B) {
	client, server := connected(b)
	data := make([]byte, 64<<10)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	go func() {
		for range b.N {
			client.Write(data)
		}
		client.Close()
	}()
	n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{server}, make([]byte, 64<<10))
	if err != nil || n != int64(b.N)*int64(len(data)) {
		b.Errorf("%d bytes, %v", n, err)
	}
}

func BenchmarkSeal(b *testing.B) {
	s := secretstream.NewConn(newDiscard(), boxKey, boxNonce, boxKey, boxNonce)
	data := make([]byte, 64<<10)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		s.Write(data)
	}
}

type discard struct{ net.Conn }

func newDiscard() net.Conn                  { return discard{} }
func (discard) Write(p []byte) (int, error) { return len(p), nil }
