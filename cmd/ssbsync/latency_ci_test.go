//go:build ci

package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ssbsync/ssbsync/spec/keys"
	"github.com/ssbsync/ssbsync/spec/multiserver"
	"github.com/ssbsync/ssbsync/spec/muxrpc"
	"github.com/ssbsync/ssbsync/spec/secretstream"
	"github.com/ssbsync/ssbsync/sync/node"
)

// BenchmarkLiveLatency publishes at a real ssb-server and at ours in turn, and
// reports how long it takes from the call of "publish" until the message comes
// out of the live stream of the other: the median, and what nine of ten stay
// below. The answer to the call comes back over TCP as well, from ssb-server
// 40 ms later, so that it cannot be what counts.
func BenchmarkLiveLatency(b *testing.B) {
	for _, protocol := range []string{"ebt", "history"} {
		b.Run(protocol, func(b *testing.B) {
			them := newMachine(b, nil).javaScript("classic", "server.js", "3", protocol)
			benchmarkLatency(b, them, "publish", "replicate.request", "createLogStream")
		})
	}
	b.Run("modern", func(b *testing.B) {
		them := newMachine(b, nil).javaScript("modern", "peer.js", "3")
		benchmarkLatency(b, them, "test.publish", "test.request", "test.live")
	})
}

// latencyRounds is how many messages go each way.
const latencyRounds = 40

func benchmarkLatency(b *testing.B, them *peer, publish, request, live string) {
	us := newMachine(b, map[string]any{"ssbsync": map[string]any{"replicate": "all"}})
	ours := us.ours()
	us.cli("replicate", them.ID)
	here, err := node.Dial(context.Background(), us.path())
	if err != nil {
		b.Fatal(err)
	}
	defer here.Close()
	there := them.session()
	defer there.Close()
	if _, err := there.Async(context.Background(), request, ours.ID, true); err != nil {
		b.Fatal(err)
	}
	us.cli("connect", them.Address)
	for b.Loop() {
		measure := func(name string, from *muxrpc.Session, method string, to *muxrpc.Session, live string) {
			var all []time.Duration
			for range latencyRounds {
				all = append(all, latency(b, from, method, to, live))
			}
			slices.Sort(all)
			b.ReportMetric(float64(all[len(all)/2].Microseconds())/1e3, name+"-ms")
			b.ReportMetric(float64(all[len(all)*9/10].Microseconds())/1e3, name+"-p90-ms")
		}
		measure("from-them", there, publish, here, "createLogStream")
		measure("to-them", here, "publish", there, live)
	}
	b.ReportMetric(0, "ns/op")
}

// latency publishes at one server and waits for the message at the other.
func latency(b *testing.B, from *muxrpc.Session, publish string, to *muxrpc.Session, method string) time.Duration {
	b.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	live, err := to.Source(ctx, method, map[string]any{"live": true, "old": false, "values": false, "sync": false})
	if err != nil {
		b.Fatal(err)
	}
	defer live.Close(nil)
	if _, err := to.Async(ctx, "whoami"); err != nil { // the stream has begun
		b.Fatal(err)
	}
	time.Sleep(20 * time.Millisecond) // what the last message caused is over
	arrived := make(chan time.Time, 16)
	wanted := make(chan string, 1)
	go func() {
		seen := map[string]time.Time{}
		var want string
		for {
			item, err := live.Recv(ctx)
			if err != nil {
				return
			}
			seen[string(item.JSON())] = time.Now()
			if want == "" {
				want = <-wanted
			}
			if at, ok := seen[want]; ok {
				arrived <- at
				return
			}
		}
	}()
	called := time.Now()
	answer, err := from.Async(ctx, publish, map[string]any{"type": "post", "text": "live"})
	var msg struct{ Key string }
	if err == nil {
		err = json.Unmarshal(answer, &msg)
	}
	if err != nil {
		b.Fatal(err)
	}
	wanted <- `"` + msg.Key + `"`
	select {
	case at := <-arrived:
		return at.Sub(called)
	case <-ctx.Done():
		b.Fatal("the message does not arrive")
		return 0
	}
}

// session connects to the peer as itself.
func (p *peer) session() *muxrpc.Session {
	p.t.Helper()
	secret, err := os.ReadFile(filepath.Join(p.path(), "secret"))
	if err != nil {
		p.t.Fatal(err)
	}
	pair, err := keys.ParseSecret(secret)
	if err != nil {
		p.t.Fatal(err)
	}
	text, _, _ := strings.Cut(p.Address, ";")
	all, err := multiserver.Parse(text)
	if err != nil {
		p.t.Fatal(err)
	}
	_, hostPort, _ := strings.Cut(text, "net:")
	hostPort, _, _ = strings.Cut(hostPort, "~")
	conn, err := net.Dial("tcp", hostPort)
	if err != nil {
		p.t.Fatal(err)
	}
	key, _ := all[0].Key()
	network, err := base64.StdEncoding.DecodeString("1KHLiKZvAvjbY1ziZEHMXawbCEIM6qwjCDm3VYRan/s=")
	if err != nil {
		p.t.Fatal(err)
	}
	conn, err = secretstream.Client(context.Background(), conn, [32]byte(network), pair, key)
	if err != nil {
		p.t.Fatal(err)
	}
	return muxrpc.NewSession(conn, muxrpc.Config{})
}
