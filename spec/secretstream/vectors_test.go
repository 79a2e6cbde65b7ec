package secretstream_test

import (
	"bytes"
	"crypto/ecdh"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/ssbsync/ssbsync/spec/internal/vectors"
	"github.com/ssbsync/ssbsync/spec/keys"
	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/spec/secretstream"
)

// hexBytes is bytes written in hex.
type hexBytes []byte

func (h *hexBytes) UnmarshalText(text []byte) (err error) {
	*h, err = hex.DecodeString(string(text))
	return err
}

// parties are the keys that all vectors of the handshake have.
type parties struct {
	Network         hexBytes `json:"network_identifier"`
	ClientSecret    hexBytes `json:"client_longterm_sk"`
	ClientPublic    hexBytes `json:"client_longterm_pk"`
	ServerSecret    hexBytes `json:"server_longterm_sk"`
	ServerPublic    hexBytes `json:"server_longterm_pk"`
	ClientEphemeral hexBytes `json:"client_ephemeral_sk"`
	ServerEphemeral hexBytes `json:"server_ephemeral_sk"`
}

func (p *parties) client() *keys.Pair { return keys.FromSeed([32]byte(p.ClientSecret[:32])) }
func (p *parties) server() *keys.Pair { return keys.FromSeed([32]byte(p.ServerSecret[:32])) }

func (p *parties) dial(t *testing.T, conn net.Conn) (*secretstream.Conn, error) {
	return secretstream.ClientWith(t.Context(), conn, [32]byte(p.Network), p.client(), refs.Feed(p.ServerPublic), ephemeral(t, p.ClientEphemeral))
}

func (p *parties) accept(t *testing.T, conn net.Conn) (*secretstream.Conn, error) {
	return secretstream.ServerWith(t.Context(), conn, [32]byte(p.Network), p.server(), nil, ephemeral(t, p.ServerEphemeral))
}

func ephemeral(t *testing.T, secret []byte) *ecdh.PrivateKey {
	t.Helper()
	key, err := ecdh.X25519().NewPrivateKey(secret)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// hello makes the challenge of an ephemeral key.
func (p *parties) hello(t *testing.T, secret []byte) []byte {
	public := ephemeral(t, secret).PublicKey().Bytes()
	mac := (*keys.HMAC)(p.Network).Sum(public)
	return append(mac[:], public...)
}

// tape is one end of a connection that plays what was put in and records what
// is written. At the end of the input it hangs up.
type tape struct {
	net.Conn // for the methods that are not called
	in       io.Reader
	out      bytes.Buffer
}

func newTape(in ...[]byte) *tape            { return &tape{in: bytes.NewReader(bytes.Join(in, nil))} }
func (c *tape) Read(p []byte) (int, error)  { return c.in.Read(p) }
func (c *tape) Write(p []byte) (int, error) { return c.out.Write(p) }
func (c *tape) Close() error                { return nil }

func (c *tape) SetDeadline(time.Time) error      { return nil }
func (c *tape) SetWriteDeadline(time.Time) error { return nil }

func TestHandshakeVectors(t *testing.T) {
	vectors.Lines(t, vectors.Files(t, "secret-handshake", "handshakes.jsonl"), func(line []byte) {
		var c struct {
			ID string
			parties
			Msg1, Msg2, Msg3, Msg4 hexBytes
			SendKey                hexBytes `json:"client_encryption_key"`
			SendNonce              hexBytes `json:"client_encryption_nonce"`
			ReceiveKey             hexBytes `json:"client_decryption_key"`
			ReceiveNonce           hexBytes `json:"client_decryption_nonce"`
		}
		if err := json.Unmarshal(line, &c); err != nil {
			t.Fatal(err)
		}
		toClient, toServer := newTape(c.Msg2, c.Msg4), newTape(c.Msg1, c.Msg3)
		client, err := c.dial(t, toClient)
		if err != nil {
			t.Fatalf("%s: client: %v", c.ID, err)
		}
		server, err := c.accept(t, toServer)
		if err != nil {
			t.Fatalf("%s: server: %v", c.ID, err)
		}
		if got := toClient.out.Bytes(); !bytes.Equal(got, append(c.Msg1, c.Msg3...)) {
			t.Errorf("%s: client sent %x", c.ID, got)
		}
		if got := toServer.out.Bytes(); !bytes.Equal(got, append(c.Msg2, c.Msg4...)) {
			t.Errorf("%s: server sent %x", c.ID, got)
		}
		if client.Remote() != refs.Feed(c.ServerPublic) || server.Remote() != refs.Feed(c.ClientPublic) {
			t.Errorf("%s: client met %s, server met %s", c.ID, client.Remote(), server.Remote())
		}
		sendKey, sendNonce, receiveKey, receiveNonce := client.Keys()
		if !bytes.Equal(sendKey[:], c.SendKey) || !bytes.Equal(sendNonce[:], c.SendNonce) ||
			!bytes.Equal(receiveKey[:], c.ReceiveKey) || !bytes.Equal(receiveNonce[:], c.ReceiveNonce) {
			t.Errorf("%s: client's outcome is wrong", c.ID)
		}
		serverKey, serverNonce, fromClientKey, fromClientNonce := server.Keys()
		if serverKey != receiveKey || serverNonce != receiveNonce || fromClientKey != sendKey || fromClientNonce != sendNonce {
			t.Errorf("%s: the server's outcome does not fit the client's", c.ID)
		}
	})
}

// TestFaultyStepVectors gives one message to one side. It is accepted when that
// side goes on: sends its next message, or has finished.
func TestFaultyStepVectors(t *testing.T) {
	accepted := 0
	vectors.Lines(t, vectors.Files(t, "secret-handshake", "faulty-steps.jsonl"), func(line []byte) {
		var c struct {
			ID, Step, Note, Receiver string
			parties
			Message  hexBytes
			Accepted bool
		}
		if err := json.Unmarshal(line, &c); err != nil {
			t.Fatal(err)
		}
		sent := map[string]int{"msg1": 64, "msg2": 64 + 112, "msg3": 64 + 80, "msg4": 64 + 112}[c.Step]
		var conn *tape
		var err error
		switch c.Step + " for " + c.Receiver {
		case "msg1 for server":
			conn = newTape(c.Message)
			_, err = c.accept(t, conn)
		case "msg2 for client":
			conn = newTape(c.Message)
			_, err = c.dial(t, conn)
		case "msg3 for server":
			conn = newTape(c.hello(t, c.ClientEphemeral), c.Message)
			_, err = c.accept(t, conn)
		case "msg4 for client":
			conn = newTape(c.hello(t, c.ServerEphemeral), c.Message)
			_, err = c.dial(t, conn)
		default:
			t.Fatalf("%s: %s for %s", c.ID, c.Step, c.Receiver)
		}
		last := c.Step == "msg3" || c.Step == "msg4" // with which the receiver is done
		got := conn.out.Len() == sent && (!last || err == nil)
		if got != c.Accepted {
			t.Errorf("%s: %s, %s: accepted is %v, want %v: %v", c.ID, c.Step, c.Note, got, c.Accepted, err)
		}
		if c.Step == "msg1" && err == nil {
			t.Errorf("%s: handshake done after one message", c.ID)
		}
		if got {
			accepted++
		}
	})
	t.Logf("%d accepted", accepted)
}

// TestFullSessionVectors plays complete sessions: handshake, one write of either
// side, goodbye.
func TestFullSessionVectors(t *testing.T) {
	vectors.Lines(t, vectors.Files(t, "full-session", "sessions.jsonl"), func(line []byte) {
		var c struct {
			ID          string
			Handshake   parties
			ClientPlain hexBytes `json:"client_plain_hex"`
			ServerPlain hexBytes `json:"server_plain_hex"`
			ClientBytes hexBytes `json:"client_bytes_hex"`
			ServerBytes hexBytes `json:"server_bytes_hex"`
		}
		if err := json.Unmarshal(line, &c); err != nil {
			t.Fatal(err)
		}
		side := func(name string, shake func(*testing.T, net.Conn) (*secretstream.Conn, error), in, out, plainIn, plainOut []byte) {
			conn := newTape(in)
			s, err := shake(t, conn)
			if err != nil {
				t.Fatalf("%s: %s: %v", c.ID, name, err)
			}
			if _, err := s.Write(plainOut); err != nil {
				t.Errorf("%s: %s: %v", c.ID, name, err)
			}
			if got, err := io.ReadAll(s); err != nil || !bytes.Equal(got, plainIn) {
				t.Errorf("%s: %s received %q, %v", c.ID, name, got, err)
			}
			if err := s.Close(); err != nil {
				t.Errorf("%s: %s: %v", c.ID, name, err)
			}
			if got := conn.out.Bytes(); !bytes.Equal(got, out) {
				t.Errorf("%s: %s sent %x, want %x", c.ID, name, got, out)
			}
		}
		side("client", c.Handshake.dial, c.ServerBytes, c.ClientBytes, c.ServerPlain, c.ClientPlain)
		side("server", c.Handshake.accept, c.ClientBytes, c.ServerBytes, c.ClientPlain, c.ServerPlain)
	})
}

func TestEncryptVectors(t *testing.T) {
	vectors.Lines(t, vectors.Files(t, "box-stream", "encrypt.jsonl"), func(line []byte) {
		var c struct {
			ID, Note   string
			Key, Nonce hexBytes
			Chunks     [][]byte `json:"chunks_b64"`
			Generate   []struct {
				Len  int
				Byte byte
			} `json:"plain_gen"`
			Stream       []byte   `json:"stream_b64"`
			StreamLen    int      `json:"stream_len"`
			StreamSum    hexBytes `json:"stream_sha256"`
			Goodbye      bool
			DecryptError *string  `json:"decrypt_error"`
			PlainSum     hexBytes `json:"decrypted_sha256"`
		}
		if err := json.Unmarshal(line, &c); err != nil {
			t.Fatal(err)
		}
		for _, g := range c.Generate {
			c.Chunks = append(c.Chunks, bytes.Repeat([]byte{g.Byte}, g.Len))
		}
		out := newTape()
		s := secretstream.NewConn(out, [32]byte(c.Key), [24]byte(c.Nonce), [32]byte{}, [24]byte{})
		for _, chunk := range c.Chunks {
			if n, err := s.Write(chunk); n != len(chunk) || err != nil {
				t.Errorf("%s (%s): wrote %d bytes, %v", c.ID, c.Note, n, err)
			}
		}
		if c.Goodbye {
			s.Close()
		}
		got := out.out.Bytes()
		if len(got) != c.StreamLen || !sameSum(got, c.StreamSum) || c.Stream != nil && !bytes.Equal(got, c.Stream) {
			t.Errorf("%s (%s): %d bytes sent are not the %d expected", c.ID, c.Note, len(got), c.StreamLen)
		}
		plain, err := openAll(c.Key, c.Nonce, got)
		if (err != nil) != (c.DecryptError != nil) || !sameSum(plain, c.PlainSum) {
			t.Errorf("%s (%s): opened %d bytes, %v", c.ID, c.Note, len(plain), err)
		}
	})
}

func sameSum(b, want []byte) bool {
	sum := sha256.Sum256(b)
	return bytes.Equal(sum[:], want)
}

// openAll opens a recorded direction of a box stream.
func openAll(key, nonce, stream []byte) ([]byte, error) {
	return io.ReadAll(secretstream.NewConn(newTape(stream), [32]byte{}, [24]byte{}, [32]byte(key), [24]byte(nonce)))
}

func TestDecryptVectors(t *testing.T) {
	vectors.Lines(t, vectors.Files(t, "box-stream", "decrypt-bad.jsonl"), func(line []byte) {
		var c struct {
			ID, Note   string
			Key, Nonce hexBytes
			Stream     []byte  `json:"stream_b64"`
			Error      *string `json:"decrypt_error"`
			CleanEnd   bool    `json:"clean_end"`
			Delivered  []byte  `json:"delivered_b64"`
			Len        int     `json:"delivered_len"`
		}
		if err := json.Unmarshal(line, &c); err != nil {
			t.Fatal(err)
		}
		got, err := openAll(c.Key, c.Nonce, c.Stream)
		if (err == nil) != c.CleanEnd || (err != nil) != (c.Error != nil) {
			t.Errorf("%s (%s): %v, want %v", c.ID, c.Note, err, c.CleanEnd)
		}
		if len(got) != c.Len || len(c.Delivered) == c.Len && !bytes.Equal(got, c.Delivered) {
			t.Errorf("%s (%s): delivered %d bytes, want %d", c.ID, c.Note, len(got), c.Len)
		}
		if errors.Is(err, io.EOF) {
			t.Errorf("%s (%s): %v is io.EOF", c.ID, c.Note, err)
		}
	})
}
