package message_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"testing"

	"github.com/ssbsync/ssbsync/spec/ecmajson"
	"github.com/ssbsync/ssbsync/spec/keys"
	"github.com/ssbsync/ssbsync/spec/message"
)

func size(values [][]byte) (n int64) {
	for _, v := range values {
		n += int64(len(v))
	}
	return n
}

// perMessage reports a benchmark whose iteration is the whole set.
func perMessage(b *testing.B, values [][]byte) {
	b.SetBytes(size(values))
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(values)), "ns/msg")
}

// The canonical form, indented and compact, of one message after the other.
func BenchmarkCanonicalForm(b *testing.B) {
	values := dataSet(b)
	var indented [][]byte
	for _, v := range values {
		text, err := ecmajson.Indent(v)
		if err != nil {
			b.Fatal(err)
		}
		indented = append(indented, text)
	}
	run := func(name string, values [][]byte, f func(value []byte) error) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				for _, v := range values {
					if err := f(v); err != nil {
						b.Fatal(err)
					}
				}
			}
			perMessage(b, values)
		})
	}
	var parser ecmajson.Parser
	parse := func(v []byte) error { _, err := parser.Parse(v); return err }
	run("compact input", values, parse)
	run("indented input", indented, parse)
	run("exact path", values, func(v []byte) error { _, err := ecmajson.Compact(v); return err })
	var buf bytes.Buffer
	run("encoding-json Indent", values, func(v []byte) error { buf.Reset(); return json.Indent(&buf, v, "", "  ") })
}

// Verifying the data set: everything but the signatures, then all of it,
// beside verifying the same signatures with crypto/ed25519.
func BenchmarkVerifyBatch(b *testing.B) {
	values := dataSet(b)
	const batch = 2000
	batches := func(f func([][]byte)) {
		for i := 0; i < len(values); i += batch {
			f(values[i:min(i+batch, len(values))])
		}
	}
	b.Run("form and hash", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			batches(message.ParseOnly)
		}
		perMessage(b, values)
	})
	b.Run("all", func(b *testing.B) {
		b.ReportAllocs()
		v := keys.NewVerifier()
		for b.Loop() {
			batches(func(raws [][]byte) {
				for _, r := range message.VerifyBatch(raws, nil, v) {
					if r.Err != nil {
						b.Fatal(r.Err)
					}
				}
			})
		}
		perMessage(b, values)
	})
	signed := message.SignedTexts(values)
	b.Run("crypto-ed25519 only", func(b *testing.B) {
		for b.Loop() {
			for i := range signed {
				if !ed25519.Verify(signed[i].Feed[:], signed[i].Msg, signed[i].Sig[:]) {
					b.Fatal("a signature does not verify")
				}
			}
		}
		perMessage(b, values)
	})
}
