package secretstream_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/ssbsync/ssbsync/spec/keys"
	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/spec/secretstream"
)

var network = [32]byte{'t', 'e', 's', 't'}

func pairOf(seed byte) *keys.Pair { return keys.FromSeed([32]byte{seed}) }

var alice, bob = pairOf(1), pairOf(2)

// tcp returns the two ends of a connection over loopback.
func tcp(t testing.TB) (client, server net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client, err = net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	server, err = l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		client.Close()
		server.Close()
	})
	return client, server
}

// outcome is how one side of a handshake ended.
type outcome struct {
	conn *secretstream.Conn
	err  error
}

// shake performs both sides of a handshake.
func shake(ctx context.Context, a, b net.Conn) (client, server outcome) {
	done := make(chan outcome, 1)
	go func() {
		conn, err := secretstream.Server(ctx, b, network, bob, nil)
		done <- outcome{conn, err}
	}()
	client.conn, client.err = secretstream.Client(ctx, a, network, alice, bob.Feed())
	return client, <-done
}

// connected returns the two ends of an encrypted connection over loopback.
func connected(t testing.TB) (client, server *secretstream.Conn) {
	t.Helper()
	a, b := tcp(t)
	c, s := shake(t.Context(), a, b)
	if c.err != nil || s.err != nil {
		t.Fatal(c.err, s.err)
	}
	return c.conn, s.conn
}

func TestConn(t *testing.T) {
	client, server := connected(t)
	if client.Remote() != bob.Feed() || server.Remote() != alice.Feed() {
		t.Errorf("client met %s, server met %s", client.Remote(), server.Remote())
	}
	data := bytes.Repeat([]byte("all the bytes "), 50_000)
	go func() {
		server.Write(data)
		server.Close()
	}()
	got, err := io.ReadAll(client)
	if err != nil || !bytes.Equal(got, data) {
		t.Errorf("received %d of %d bytes, %v", len(got), len(data), err)
	}
	client.Close()
	if _, err := client.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
		t.Errorf("written after closing: %v", err)
	}
	if err := client.Close(); err != nil {
		t.Errorf("closed twice: %v", err)
	}
}

func TestWrongNetworkAndKey(t *testing.T) {
	for _, c := range []struct {
		name           string
		network        [32]byte
		server         refs.Feed
		client, theirs string // in the errors
	}{
		{"network", [32]byte{'x'}, bob.Feed(), "waiting for the server's challenge", "another network"},
		{"zero network", [32]byte{}, bob.Feed(), "waiting for the server's challenge", "another network"},
		{"server", network, pairOf(9).Feed(), "waiting for the server's proof", "dialled another key"},
		{"zero server", network, refs.Feed{}, "making our proof", "waiting for the client's proof"},
		{"server is no point", network, refs.Feed{2}, "making our proof", "waiting for the client's proof"},
		{"server of small order", network, refs.Feed{1}, "making our proof", "waiting for the client's proof"},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, b := tcp(t)
			done := make(chan error, 1)
			go func() {
				_, err := secretstream.Server(t.Context(), b, network, bob, nil)
				done <- err
			}()
			if _, err := secretstream.Client(t.Context(), a, c.network, alice, c.server); err == nil || !strings.Contains(err.Error(), c.client) {
				t.Errorf("client: %v, want %q", err, c.client)
			}
			if err := <-done; err == nil || !strings.Contains(err.Error(), c.theirs) {
				t.Errorf("server: %v, want %q", err, c.theirs)
			}
		})
	}
}

func TestAuthorize(t *testing.T) {
	a, b := tcp(t)
	done := make(chan error, 1)
	blocked := errors.New("blocked")
	go func() {
		_, err := secretstream.Server(t.Context(), b, network, bob, func(client refs.Feed) error {
			if client != alice.Feed() {
				t.Errorf("asked about %s", client)
			}
			return blocked
		})
		done <- err
	}()
	if _, err := secretstream.Client(t.Context(), a, network, alice, bob.Feed()); err == nil {
		t.Error("client was let in")
	}
	if err := <-done; !errors.Is(err, blocked) {
		t.Errorf("server: %v", err)
	}
}

// script is a connection whose other side is played by two byte streams, with
// one byte of what is received changed.
type script struct {
	net.Conn
	in io.Reader
}

func (c script) Read(p []byte) (int, error) { return c.in.Read(p) }

// tamper changes the byte at a position of a stream.
type tamper struct {
	r   io.Reader
	pos int
	at  int
}

func (r *tamper) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	if i := r.at - r.pos; i >= 0 && i < n {
		p[i] ^= 0x10
	}
	r.pos += n
	return n, err
}

// TestTamperEveryByte changes each byte of each message on its way: never do
// both sides finish, and the one that got it never does.
func TestTamperEveryByte(t *testing.T) {
	for at := range 64 + 112 {
		a, b := net.Pipe()
		client, server := shake(t.Context(), a, script{b, &tamper{r: b, at: at}})
		if client.err == nil || server.err == nil {
			t.Errorf("byte %d from the client: client %v, server %v", at, client.err, server.err)
		}
	}
	for at := range 64 + 80 {
		a, b := net.Pipe()
		client, server := shake(t.Context(), script{a, &tamper{r: a, at: at}}, b)
		if client.err == nil || at < 64 && server.err == nil {
			t.Errorf("byte %d from the server: client %v, server %v", at, client.err, server.err)
		}
	}
	t.Logf("%d bytes", 64+112+64+80)
}

func TestOneByteAtATime(t *testing.T) {
	a, b := tcp(t)
	client, server := shake(t.Context(), script{a, iotest.OneByteReader(a)}, script{b, iotest.OneByteReader(b)})
	if client.err != nil || server.err != nil {
		t.Fatal(client.err, server.err)
	}
	go func() {
		client.conn.Write(bytes.Repeat([]byte("x"), 10_000))
		client.conn.Close()
	}()
	if got, err := io.ReadAll(server.conn); err != nil || len(got) != 10_000 {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

// TestCutHandshake hangs up after each byte.
func TestCutHandshake(t *testing.T) {
	for n := range 64 + 112 {
		a, b := net.Pipe()
		_, server := shake(t.Context(), a, script{b, io.LimitReader(b, int64(n))})
		if !errors.Is(server.err, io.EOF) && !errors.Is(server.err, io.ErrUnexpectedEOF) {
			t.Errorf("cut after byte %d: %v", n, server.err)
		}
	}
}

// TestReplay gives a server what a client sent to it before.
func TestReplay(t *testing.T) {
	a, b := tcp(t)
	var sent bytes.Buffer
	client, server := shake(t.Context(), a, script{b, io.TeeReader(b, &sent)})
	if client.err != nil || server.err != nil {
		t.Fatal(client.err, server.err)
	}
	if _, err := secretstream.Server(t.Context(), newTape(sent.Bytes()), network, bob, nil); err == nil {
		t.Error("the replay was let in")
	}
	if _, err := secretstream.Client(t.Context(), newTape(sent.Bytes()), network, alice, bob.Feed()); err == nil {
		t.Error("the reflection was let in")
	}
}

// TestZeroEphemeral sends a challenge of a zero key, with which anyone could
// compute the secrets. The reference lets that message pass; the next one must
// not.
func TestZeroEphemeral(t *testing.T) {
	mac := (*keys.HMAC)(&network).Sum(make([]byte, 32))
	challenge := append(mac[:], make([]byte, 32)...)
	conn := newTape(challenge, make([]byte, 112))
	if _, err := secretstream.Server(t.Context(), conn, network, bob, nil); err == nil || !strings.Contains(err.Error(), "no secret") {
		t.Errorf("server: %v", err)
	}
	if conn.out.Len() != 64 {
		t.Errorf("server sent %d bytes", conn.out.Len())
	}
	conn = newTape(challenge, make([]byte, 80))
	if _, err := secretstream.Client(t.Context(), conn, network, alice, bob.Feed()); err == nil || !strings.Contains(err.Error(), "no secret") {
		t.Errorf("client: %v", err)
	}
	if conn.out.Len() != 64 {
		t.Errorf("client sent %d bytes", conn.out.Len())
	}
}

// TestSilentPeer checks that a handshake ends with its context.
func TestSilentPeer(t *testing.T) {
	a, b := tcp(t)
	reason := errors.New("enough waiting")
	ctx, cancel := context.WithTimeoutCause(t.Context(), 20*time.Millisecond, reason)
	defer cancel()
	if _, err := secretstream.Server(ctx, b, network, bob, nil); !errors.Is(err, reason) {
		t.Errorf("server: %v", err)
	}
	if _, err := secretstream.Client(ctx, a, network, alice, bob.Feed()); !errors.Is(err, reason) {
		t.Errorf("client: %v", err)
	}
}

// TestDeadlines checks that reading goes on after a timeout within a packet.
func TestDeadlines(t *testing.T) {
	a, b := tcp(t)
	client, server := shake(t.Context(), a, b)
	if client.err != nil || server.err != nil {
		t.Fatal(client.err, server.err)
	}
	sendKey, sendNonce, _, _ := client.conn.Keys()
	conn := newTape()
	secretstream.NewConn(conn, sendKey, sendNonce, [32]byte{}, [24]byte{}).Write([]byte("in pieces"))
	for i, c := range conn.out.Bytes() {
		server.conn.SetReadDeadline(time.Now().Add(time.Millisecond))
		if n, err := server.conn.Read(make([]byte, 100)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("before byte %d: %d bytes, %v", i, n, err)
		}
		a.Write([]byte{c})
	}
	server.conn.SetReadDeadline(time.Time{})
	got := make([]byte, 100)
	if n, err := server.conn.Read(got); err != nil || string(got[:n]) != "in pieces" {
		t.Errorf("%q, %v", got[:n], err)
	}
}
