package node_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ssbsync/ssbsync/spec/keys"
	"github.com/ssbsync/ssbsync/spec/multiserver"
	"github.com/ssbsync/ssbsync/spec/muxrpc"
	"github.com/ssbsync/ssbsync/spec/secretstream"
	"github.com/ssbsync/ssbsync/sync/node"
)

// running is a node with its server.
type running struct {
	*node.Node
	home string
	addr multiserver.Address // of TCP
	log  *buffer
	stop func()
}

// buffer is a log that may be written to and read at the same time.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// start opens a node with a config and runs its server.
func start(t testing.TB, config string) *running {
	t.Helper()
	return startIn(t, t.TempDir(), config)
}

// startIn is start with a home folder that may have been used before.
func startIn(t testing.TB, home, config string) *running {
	t.Helper()
	return startWith(t, home, config, node.ServerOptions{Host: "127.0.0.1", Port: 0, NoLAN: true})
}

// startWith is startIn with options, of which Ready is set.
func startWith(t testing.TB, home, config string, o node.ServerOptions) *running {
	t.Helper()
	if err := errors.Join(os.Chmod(home, 0o700), os.WriteFile(filepath.Join(home, "config"), []byte(config), 0o600)); err != nil {
		t.Fatal(err)
	}
	r := &running{home: home, log: new(buffer)}
	var err error
	r.Node, err = node.Open(node.Options{
		Home: home, Version: "test", Log: slog.New(slog.NewTextHandler(r.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ready, ended := make(chan []string, 1), make(chan error, 1)
	o.Ready = func(all []string) { ready <- all }
	go func() { ended <- r.Run(ctx, o) }()
	var once sync.Once
	r.stop = func() {
		once.Do(func() {
			cancel()
			if err := <-ended; err != nil {
				t.Errorf("running: %v", err)
			}
			if err := r.Close(); err != nil {
				t.Errorf("closing: %v", err)
			}
		})
	}
	select {
	case all := <-ready:
		addresses, err := multiserver.Parse(all[0])
		if err != nil {
			t.Fatal(err)
		}
		r.addr = addresses[0]
	case err := <-ended:
		t.Fatal(err)
	}
	t.Cleanup(r.stop)
	return r
}

func mainNetwork(t testing.TB) [32]byte {
	raw, err := base64.StdEncoding.DecodeString("1KHLiKZvAvjbY1ziZEHMXawbCEIM6qwjCDm3VYRan/s=")
	if err != nil {
		t.Fatal(err)
	}
	return [32]byte(raw)
}

// dial connects over TCP as somebody.
func (r *running) dial(t testing.TB, as *keys.Pair) *muxrpc.Session {
	t.Helper()
	end, err := r.addr.Endpoint()
	if err != nil {
		t.Fatal(err)
	}
	key, _ := r.addr.Key()
	conn, err := net.Dial("tcp", net.JoinHostPort(end.Host, fmt.Sprint(end.Port)))
	if err != nil {
		t.Fatal(err)
	}
	secret, err := secretstream.Client(context.Background(), conn, mainNetwork(t), as, key)
	if err != nil {
		t.Fatal(err)
	}
	session := muxrpc.NewSession(secret, muxrpc.Config{})
	t.Cleanup(func() { session.Close() })
	return session
}

func stranger(t testing.TB) *keys.Pair {
	t.Helper()
	pair, err := keys.Generate(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return pair
}

// refusal calls a method without arguments and returns the error, if any comes
// within the time. Those that are refused are waited for, however slow the
// machine is; of those that are not, a moment shows enough.
func refusal(t testing.TB, s *muxrpc.Session, name string, typ muxrpc.Type, expected bool) error {
	t.Helper()
	wait := 200 * time.Millisecond
	if expected {
		wait = time.Minute
	}
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	defer cancel()
	if typ == muxrpc.Async || typ == muxrpc.Sync {
		_, err := s.Async(ctx, name)
		return err
	}
	open := map[muxrpc.Type]func(context.Context, string, ...any) (*muxrpc.Stream, error){
		muxrpc.Source: s.Source, muxrpc.Sink: s.Sink, muxrpc.Duplex: s.Duplex,
	}[typ]
	stream, err := open(ctx, name)
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close(nil)
	_, err = stream.Recv(ctx)
	return err
}

// flatten lists the methods of a manifest.
func flatten(t testing.TB, prefix string, manifest json.RawMessage, all map[string]muxrpc.Type) {
	t.Helper()
	var group map[string]json.RawMessage
	if err := json.Unmarshal(manifest, &group); err != nil {
		t.Fatal(err)
	}
	for name, value := range group {
		var typ muxrpc.Type
		if json.Unmarshal(value, &typ) != nil {
			flatten(t, prefix+name+".", value, all)
			continue
		}
		all[prefix+name] = typ
	}
}

// TestStrangers calls every method of the manifest as a stranger: all but those
// that peers need are refused, in ssb-server's words.
func TestStrangers(t *testing.T) {
	r := start(t, `{}`)
	s := r.dial(t, stranger(t))
	manifest, err := s.Async(context.Background(), "manifest")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]muxrpc.Type{}
	flatten(t, "", manifest, all)
	public := map[string]bool{"manifest": true, "createHistoryStream": true, "ebt.replicate": true, "gossip.ping": true,
		"blobs.has": true, "blobs.get": true, "blobs.getSlice": true, "blobs.changes": true, "blobs.createWants": true}
	refused := 0
	for name, typ := range all {
		err := refusal(t, s, name, typ, !public[name])
		want := fmt.Sprintf("method:%s is not in list of allowed methods", strings.ReplaceAll(name, ".", ","))
		if isRefused := err != nil && err.Error() == want; isRefused == public[name] {
			t.Errorf("%s, called by a stranger: %v", name, err)
		} else if isRefused {
			refused++
		}
	}
	for _, name := range []string{"nosuch", "ssbsync", "__proto__"} {
		if err := refusal(t, s, name, muxrpc.Async, true); err == nil {
			t.Errorf("%s was answered", name)
		}
	}
	t.Logf("%d methods, %d of them refused", len(all), refused)
	if refused < 60 {
		t.Errorf("only %d methods were refused", refused)
	}
}

// TestMasters lets identities of the config call everything.
func TestMasters(t *testing.T) {
	master := stranger(t)
	for _, config := range []string{`{"master":"%s"}`, `{"master":["%s"]}`} {
		r := start(t, fmt.Sprintf(config, master.Feed()))
		s := r.dial(t, master)
		if _, err := s.Async(context.Background(), "publish", map[string]string{"type": "post"}); err != nil {
			t.Errorf("%s: %v", config, err)
		}
	}
}

// TestGuests lets who comes with an invite use it, and nothing else.
func TestGuests(t *testing.T) {
	r := start(t, `{"allowPrivate":true}`)
	own := r.socket(t)
	answer, err := own.Async(context.Background(), "invite.create", 1)
	if err != nil {
		t.Fatal(err)
	}
	var code string
	if err := json.Unmarshal(answer, &code); err != nil {
		t.Fatal(err)
	}
	invite, err := multiserver.ParseInvite(code)
	if err != nil {
		t.Fatal(err)
	}
	s := r.dial(t, keys.FromSeed(invite.Seed))
	for _, name := range []string{"whoami", "publish", "invite.create", "ssbsync.status"} {
		if err := refusal(t, s, name, muxrpc.Async, true); err == nil || !strings.Contains(err.Error(), "not in list of allowed methods") {
			t.Errorf("%s, called by a guest: %v", name, err)
		}
	}
	guest := stranger(t).Feed()
	if _, err := s.Async(context.Background(), "invite.use", map[string]any{"feed": guest}); err != nil {
		t.Fatal(err)
	}
	follows, err := own.Async(context.Background(), "friends.isFollowing", map[string]any{"source": r.id(t), "dest": guest})
	if err != nil || string(follows) != "true" {
		t.Errorf("follows the guest: %s, %v", follows, err)
	}
	// neither the seed nor our own key is in the log, however much it tells
	secret, err := os.ReadFile(filepath.Join(r.home, "secret"))
	if err != nil {
		t.Fatal(err)
	}
	pair, err := keys.ParseSecret(secret)
	if err != nil {
		t.Fatal(err)
	}
	for what, text := range map[string]string{
		"the seed": base64.StdEncoding.EncodeToString(invite.Seed[:]),
		"the key":  base64.StdEncoding.EncodeToString(pair.Private())[:40],
	} {
		if strings.Contains(r.log.String(), text) {
			t.Errorf("%s is in the log", what)
		}
	}
}

// socket connects over the unix socket.
func (r *running) socket(t testing.TB) *muxrpc.Session {
	t.Helper()
	s, err := node.Dial(context.Background(), r.home)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func (r *running) id(t testing.TB) string {
	t.Helper()
	key, _ := r.addr.Key()
	return key.String()
}

// TestSocket looks at the socket: for the own user only, gone at the end, and
// never in the way of a server that runs.
func TestSocket(t *testing.T) {
	r := start(t, `{}`)
	path := filepath.Join(r.home, "socket")
	info, err := os.Lstat(path)
	if err != nil || info.Mode().Type() != fs.ModeSocket || info.Mode().Perm() != 0o600 {
		t.Fatalf("the socket: %v, %v", info, err)
	}
	if err := node.CheckSocket(context.Background(), r.home); !errors.Is(err, node.ErrRunning) {
		t.Errorf("a running server: %v", err)
	}
	if _, err := r.socket(t).Async(context.Background(), "whoami"); err != nil {
		t.Error(err)
	}
	left, err := filepath.Glob(filepath.Join(r.home, ".socket-*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %q, %v", left, err)
	}
	r.stop()
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the socket after the end: %v", err)
	}
	if _, err := node.Dial(context.Background(), r.home); !errors.Is(err, node.ErrNobody) {
		t.Errorf("dialling a server that has ended: %v", err)
	}
}
