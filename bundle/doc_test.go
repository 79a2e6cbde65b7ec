package bundle_test

import (
	"bytes"
	"fmt"
	"log"

	"github.com/ssbsync/ssbsync/bundle"
	"github.com/ssbsync/ssbsync/spec/keys"
	"github.com/ssbsync/ssbsync/spec/refs"
)

func Example() {
	w := bundle.NewWriter(keys.FromSeed([32]byte{1}), bundle.Header{}, bundle.WriterOptions{})
	for seq, value := range []string{`{"sequence":1}`, `{"sequence":2}`} {
		r := bundle.Record{Feed: refs.Feed{2}, Seq: int64(seq) + 1, ID: refs.Message{3}, Value: []byte(value)}
		if err := w.Add(r); err != nil {
			log.Fatal(err)
		}
	}
	var file bytes.Buffer
	manifest, err := w.Finish(&file)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(manifest.FileName()), "characters,", manifest.Messages, "messages")

	r, err := bundle.Open(bytes.NewReader(file.Bytes()), int64(file.Len()), bundle.Limits{})
	if err != nil {
		log.Fatal(err)
	}
	for i := range r.MessageFrames() {
		lines, err := r.ReadFrame(i)
		if err != nil {
			log.Fatal(err) // only this frame is lost
		}
		for line := range bundle.Lines(lines) {
			fmt.Printf("%s\n", line) // to be verified before anything else
		}
	}
	// Output:
	// 34 characters, 2 messages
	// {"sequence":1}
	// {"sequence":2}
}
