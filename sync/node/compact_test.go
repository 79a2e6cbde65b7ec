package node_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/ssbsync/ssbsync/spec/muxrpc"
	"github.com/ssbsync/ssbsync/sync/node"
)

// compact compacts the store over a session.
func compact(t testing.TB, ctx context.Context, s *muxrpc.Session) (report *node.CompactReport) {
	t.Helper()
	stream, err := s.Source(ctx, "ssbsync.compact")
	if err != nil {
		t.Error(err)
		return nil
	}
	for {
		item, err := stream.Recv(ctx)
		if err == io.EOF {
			break
		}
		var now node.CompactItem
		if err == nil {
			err = item.Unmarshal(&now)
		}
		if err != nil {
			t.Error(err)
			return nil
		}
		if report != nil || (now.Progress == nil) == (now.Report == nil) {
			t.Errorf("%s after %v", item.JSON(), report)
		}
		report = now.Report
	}
	if report == nil {
		t.Error("no report")
	}
	return report
}

// TestCompactWhileServing compacts the store of a server again and again while
// one app publishes and another follows the log: nothing is lost, nothing comes
// twice, and the order is that of the store.
func TestCompactWhileServing(t *testing.T) {
	r := start(t, `{}`)
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	const messages = 40
	live, err := r.socket(t).Source(ctx, "createLogStream", json.RawMessage(`{"live":true,"values":false,"sync":false}`))
	if err != nil {
		t.Fatal(err)
	}
	defer live.Close(nil)
	var group sync.WaitGroup
	var published, seen []string
	group.Go(func() {
		s := r.socket(t)
		for n := range messages {
			published = append(published, publish(t, s, fmt.Sprintf(`{"type":"post","text":"%d"}`, n)))
		}
	})
	group.Go(func() {
		for range messages {
			item, err := live.Recv(ctx)
			if err != nil {
				t.Error(err)
				return
			}
			seen = append(seen, string(item.JSON()))
		}
	})
	s := r.socket(t)
	done := make(chan struct{})
	go func() { group.Wait(); close(done) }()
	rounds := 0
	for running := true; running || rounds < 3; rounds++ {
		if compact(t, ctx, s) == nil {
			break
		}
		select {
		case <-done:
			running = false
		default:
		}
	}
	<-done
	if !slices.Equal(seen, quoted(published)) {
		t.Errorf("published %d, %d came", len(published), len(seen))
	}
	if log := collect(t, s, -1, "createLogStream", `{"values":false}`); !slices.Equal(log, seen) {
		t.Errorf("%d in the log, %d came live", len(log), len(seen))
	}
	check := collect(t, s, -1, "ssbsync.check", `{"signatures":true}`)
	var found node.CheckReport
	if err := json.Unmarshal([]byte(check[0]), &found); err != nil || found.Found != 0 || found.Messages != messages {
		t.Errorf("check: %s, %v", check, err)
	}
	t.Logf("compacted %d times", rounds)
}
