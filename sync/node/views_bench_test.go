package node_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/ssbsync/ssbsync/bundle"
	"github.com/ssbsync/ssbsync/spec/keys"
	"github.com/ssbsync/ssbsync/spec/message"
	"github.com/ssbsync/ssbsync/spec/muxrpc"
	"github.com/ssbsync/ssbsync/store"
)

// fillStore puts the 100k data set of the folder SSBSYNC_DATA or, without it,
// the small one of testdata into the store of a home folder.
func fillStore(b *testing.B, home string) {
	b.Helper()
	path := filepath.Join("..", "..", "testdata", "fixtures-2k.jsonl.zst")
	if dir := os.Getenv("SSBSYNC_DATA"); dir != "" {
		path = filepath.Join(dir, "fixtures-100k.jsonl.zst")
	}
	file, err := os.Open(path)
	if err != nil {
		b.Fatal(err)
	}
	defer file.Close()
	plain, err := bundle.NewZstdReader(file)
	if err != nil {
		b.Fatal(err)
	}
	defer plain.Close()
	if err := os.MkdirAll(filepath.Join(home, "ssbsync"), 0o700); err != nil {
		b.Fatal(err)
	}
	s, err := store.Open(filepath.Join(home, "ssbsync", "store.db"), store.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	lines := bufio.NewScanner(plain)
	lines.Buffer(nil, 1<<20)
	verifier := keys.NewVerifier()
	for more := true; more; {
		var raws [][]byte
		for len(raws) < 8192 && more {
			if more = lines.Scan(); more {
				var line struct{ Value json.RawMessage }
				if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
					b.Fatal(err)
				}
				raws = append(raws, line.Value)
			}
		}
		var msgs []*message.Message
		for _, r := range message.VerifyBatch(raws, nil, verifier) {
			if r.Err != nil {
				b.Fatal(r.Err)
			}
			msgs = append(msgs, r.Message)
		}
		if _, err := s.Append(msgs); err != nil {
			b.Fatal(err)
		}
	}
}

// question is a call of an app that a benchmark repeats with other arguments.
type question struct {
	name, method string
	options      []string
}

// questions makes questions from a sample of the messages.
func questions(b *testing.B, s *muxrpc.Session) []question {
	all := []question{
		{name: "search", method: "search.query"}, {name: "backlinks", method: "backlinks.read"}, {name: "author", method: "query.read"},
		{name: "author-type", method: "query.read"}, {name: "type", method: "query.read"}, {name: "channel", method: "query.read"},
		{name: "root", method: "query.read"}, {name: "time", method: "query.read"}, {name: "type-time", method: "query.read"}, {name: "rts", method: "query.read"},
	}
	log := collect(b, s, -1, "createLogStream", `{"limit":1900}`)
	for i := range 100 {
		var msg struct {
			Key       string
			Timestamp float64
			Value     struct {
				Author    string
				Timestamp float64
				Content   json.RawMessage
			}
		}
		unmarshal(b, log[i*len(log)/100], &msg)
		var content struct{ Type, Text, Root, Channel string }
		_ = json.Unmarshal(msg.Value.Content, &content) // it may be private
		filter := func(rule string, args ...any) string {
			return raw2(`{"query":[{"$filter":`+rule+`}],"limit":50,"reverse":true}`, args...)
		}
		words := bytes.Fields([]byte(content.Text))
		if len(words) > 3 {
			all[0].options = append(all[0].options, raw2(`{"query":%q,"limit":50}`, words[1]), raw2(`{"query":%q,"limit":50}`, bytes.Join(words[1:3], []byte(" "))))
		}
		all[1].options = append(all[1].options, filter(`{"dest":%q}`, msg.Key), filter(`{"dest":%q}`, msg.Value.Author), filter(`{"dest":%q,"value":{"content":{"type":"about"}}}`, msg.Value.Author))
		all[2].options = append(all[2].options, filter(`{"value":{"author":%q}}`, msg.Value.Author))
		all[3].options = append(all[3].options, filter(`{"value":{"author":%q,"content":{"type":"post"}}}`, msg.Value.Author))
		if content.Type != "" {
			all[4].options = append(all[4].options, filter(`{"value":{"content":{"type":%q}}}`, content.Type))
		}
		all[5].options = append(all[5].options, filter(`{"value":{"content":{"channel":%q}}}`, content.Channel))
		root := content.Root
		if root == "" {
			root = msg.Key
		}
		all[6].options = append(all[6].options, filter(`{"value":{"content":{"root":%q}}}`, root))
		all[7].options = append(all[7].options, filter(`{"timestamp":{"$gt":%f}}`, msg.Timestamp))
		all[8].options = append(all[8].options, filter(`{"value":{"timestamp":{"$lt":%f},"content":{"type":"post"}}}`, msg.Value.Timestamp))
		all[9].options = append(all[9].options, filter(`{"rts":{"$lt":%f}}`, msg.Value.Timestamp))
	}
	return all
}

// BenchmarkAnswers asks a running server what apps ask, over its socket, and
// reports how long the whole answers take: the median, and the time within which
// 95 of 100 are there.
func BenchmarkAnswers(b *testing.B) {
	home := b.TempDir()
	fillStore(b, home)
	r := startIn(b, home, `{}`)
	s := r.socket(b)
	drain(b, s, "search.query", `{"query":"catch up"}`)
	drain(b, s, "createFeedStream", `{"limit":1}`)
	for _, q := range questions(b, s) {
		b.Run(q.name, func(b *testing.B) {
			var times []time.Duration
			items := 0
			for b.Loop() {
				for _, options := range q.options {
					began := time.Now()
					items += drain(b, s, q.method, options)
					times = append(times, time.Since(began))
				}
			}
			slices.Sort(times)
			b.ReportMetric(times[len(times)/2].Seconds()*1e3, "median-ms")
			b.ReportMetric(times[len(times)*95/100].Seconds()*1e3, "p95-ms")
			b.ReportMetric(float64(items)/float64(len(times)), "items")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// drain reads a stream to its end and counts the items.
func drain(b *testing.B, s *muxrpc.Session, method, options string) (n int) {
	stream, err := s.Source(context.Background(), method, json.RawMessage(options))
	if err != nil {
		b.Fatal(err)
	}
	for {
		if _, err := stream.Recv(context.Background()); err != nil {
			if !errors.Is(err, io.EOF) {
				b.Fatalf("%s(%s): %v", method, options, err)
			}
			return n
		}
		n++
	}
}
