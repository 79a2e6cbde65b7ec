package bundle_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/ssbsync/ssbsync/bundle"
)

func TestInspect(t *testing.T) {
	r := open(t, write(t, alice, sample(2, 1000, 700), [][]byte{noise(100)}))
	info := r.Inspect()
	if info.Name != r.Name() || info.Exporter != alice.Feed() || info.Messages != 2000 || info.Feeds != 2 ||
		info.Blobs != 1 || info.Frames != r.MessageFrames() || info.Bytes != r.Size() || info.Codec != "jsonl" {
		t.Fatalf("%+v", info)
	}
	// sample leaves a gap after every tenth message; frame borders leave none.
	if len(info.Ranges) != 200 {
		t.Fatalf("%d ranges", len(info.Ranges))
	}
	for _, run := range info.Ranges {
		if run.Len() != 10 {
			t.Fatalf("range %+v", run)
		}
	}
	checkShape(t, info, `"damage":[]`, `"network":"`, `"ranges":[{"feed":"@`, `"last_id":"`, `"blob_ids":["\u0026`)
}

// checkShape holds that v has the given pieces in its JSON.
func checkShape(t *testing.T, v any, pieces ...string) {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range pieces {
		if !strings.Contains(string(text), p) {
			t.Fatalf("no %s in %.500s", p, text)
		}
	}
}

func TestVerify(t *testing.T) {
	file := write(t, alice, sample(2, 1000, 700), [][]byte{noise(100)})
	r := open(t, file)
	seen := 0
	report, err := r.Verify(t.Context(), func(frame int, lines []byte) error {
		for range bundle.Lines(lines) {
			seen++
		}
		return nil
	})
	if err != nil || report.Messages != 2000 || seen != 2000 || report.Blobs != 1 || len(report.Damage) != 0 {
		t.Fatalf("%+v, %v, %d seen", report, err, seen)
	}
	checkShape(t, report, `"damage":[]`)
	damaged := open(t, flip(file, manifestFrame(r)+int(r.Manifest().Frames[0].Stored)+100))
	report, err = damaged.Verify(t.Context(), nil)
	if err != nil || len(report.Damage) != 1 {
		t.Fatalf("%+v, %v", report, err)
	}
	checkShape(t, report, `"damage":[{"part":"message frame","index":0,"offset":`, `"cause":"damaged","runs":[{"feed":`)
}

func TestVerifyEnds(t *testing.T) {
	r := open(t, write(t, alice, sample(2, 1000, 700), nil))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := r.Verify(ctx, nil); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
	stop := errors.New("enough")
	if _, err := r.Verify(t.Context(), func(int, []byte) error { return stop }); !errors.Is(err, stop) {
		t.Fatalf("got %v", err)
	}
}

// TestErrorText holds what a user reads of a lost frame.
func TestErrorText(t *testing.T) {
	file := write(t, alice, sample(1, 10, 100), nil)
	r := open(t, file)
	_, err := open(t, flip(file, len(file)-seekTable(r)-manifestFrame(r)-1)).ReadFrame(0)
	feed := r.Feeds()[0].String()
	want := "message frame 0 at byte 355 is damaged (10 messages lost: feed " + feed + " from 1 to 10)"
	if err == nil || err.Error() != want {
		t.Fatalf("got  %v\nwant %s", err, want)
	}
}
