package keys_test

import (
	stded25519 "crypto/ed25519"
	"encoding/binary"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/oasisprotocol/curve25519-voi/primitives/ed25519"

	"github.com/ssbsync/ssbsync/spec/keys"
	"github.com/ssbsync/ssbsync/spec/refs"
)

// signedBy returns n signatures of each of the given number of feeds, feed
// after feed, over messages of the usual size.
func signedBy(feeds, n int) []keys.Signed {
	var items []keys.Signed
	for f := range feeds {
		var seed [32]byte
		binary.LittleEndian.PutUint64(seed[:], uint64(f)+1)
		pair := keys.FromSeed(seed)
		for i := range n {
			msg := make([]byte, 500)
			binary.LittleEndian.PutUint64(msg, uint64(i))
			items = append(items, keys.Signed{Feed: pair.Feed(), Msg: msg, Sig: pair.Sign(msg)})
		}
	}
	return items
}

// TestVerifyBatch mixes good and bad signatures of many feeds, verified by
// many goroutines with one Verifier, over and over.
func TestVerifyBatch(t *testing.T) {
	items := signedBy(20, 4)
	for i := range items {
		if i%3 == 0 {
			items[i].Sig[40]++
		}
	}
	v := keys.NewVerifier()
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 3 {
				ok := make([]bool, len(items))
				v.VerifyBatch(items, ok)
				for i := range ok {
					if ok[i] != (i%3 != 0) {
						t.Errorf("item %d: %v", i, ok[i])
					}
				}
			}
		})
	}
	wg.Wait()
}

func TestVerifyBatchDoesNotAllocate(t *testing.T) {
	items := signedBy(20, 2)
	ok := make([]bool, len(items))
	v := keys.NewVerifier()
	for range 3 {
		v.VerifyBatch(items, ok)
	}
	if allocs := testing.AllocsPerRun(3, func() { v.VerifyBatch(items, ok) }); allocs != 0 {
		t.Errorf("%v allocations for %d signatures of remembered keys", allocs, len(items))
	}
}

// TestVerifierIsBounded remembers more keys than fit, and looks at the memory
// that stays.
func TestVerifierIsBounded(t *testing.T) {
	const bound = 13 << 20 // as documented
	valid := keys.FromSeed([32]byte{1}).Feed()
	before := liveHeap()
	v := keys.NewVerifier()
	for n := range 2 * keys.MaxRemembered {
		var feed refs.Feed
		binary.LittleEndian.PutUint64(feed[:], uint64(n))
		if err := v.Remember(feed, valid); err != nil {
			t.Fatal(err)
		}
	}
	grown := int64(liveHeap()) - int64(before)
	t.Logf("%d keys of %d: %d KiB", v.Remembered(), 2*keys.MaxRemembered, grown>>10)
	if grown > bound || v.Remembered() > keys.MaxRemembered {
		t.Errorf("%d bytes for %d keys, more than %d", grown, v.Remembered(), bound)
	}
	if v.Remembered() < keys.MaxRemembered*3/4 {
		t.Errorf("only %d keys are remembered", v.Remembered())
	}
}

// TestVerifierChoosesKeys: a key is remembered once two of its signatures were
// good; bad ones do not count.
func TestVerifierChoosesKeys(t *testing.T) {
	items := signedBy(100, 2)
	forged := slices.Clone(items)
	for i := range forged {
		forged[i].Sig[0] ^= 1
	}
	ok := make([]bool, len(items))
	v := keys.NewVerifier()
	for range 3 {
		if v.VerifyBatch(forged, ok); v.Remembered() > 0 || slices.Contains(ok, true) {
			t.Fatalf("%d keys of forgeries are remembered", v.Remembered())
		}
	}
	for i := 0; i < len(items); i += 2 {
		v.VerifyBatch(items[i:i+1], ok)
	}
	if v.Remembered() > 0 {
		t.Errorf("%d keys are remembered that were met once", v.Remembered())
	}
	for i := 1; i < len(items); i += 2 {
		v.VerifyBatch(items[i:i+1], ok)
	}
	if v.Remembered() < 95 { // two keys may share a mark
		t.Errorf("%d keys of 100 are remembered", v.Remembered())
	}
}

func liveHeap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// BenchmarkVerify compares the ways to verify a signature over a message of
// 500 bytes. They take turns, one signature each, and the medians are
// reported, as time and against std, so that a busy machine disturbs all alike.
//
//	std        crypto/ed25519, which accepts more than libsodium
//	voi        curve25519-voi with every check of its own: libsodium's acceptance
//	single     Verify
//	expanded   VerifyBatch with remembered keys
//	first      VerifyBatch with a key it has never met
//	second     VerifyBatch with a key it has met once, and expands
func BenchmarkVerify(b *testing.B) {
	items := signedBy(100, 2)
	ok := make([]bool, len(items))
	full := &ed25519.Options{Verify: &ed25519.VerifyOptions{CofactorlessVerify: true}}
	warm, cold := keys.NewVerifier(), keys.NewVerifier()
	for range 2 { // one by one: many together take another way, without tables
		for i := range items {
			warm.VerifyBatch(items[i:][:1], ok)
		}
	}
	ways := []struct {
		name   string
		verify func(i int) bool
	}{
		{"std", func(i int) bool { return stded25519.Verify(items[i].Feed[:], items[i].Msg, items[i].Sig[:]) }},
		{"voi", func(i int) bool {
			return ed25519.VerifyWithOptions(items[i].Feed[:], items[i].Msg, items[i].Sig[:], full)
		}},
		{"single", func(i int) bool { return keys.Verify(items[i].Feed, items[i].Msg, &items[i].Sig) }},
		{"expanded", func(i int) bool { warm.VerifyBatch(items[i:][:1], ok); return ok[0] }},
		{"first", func(i int) bool { cold.VerifyBatch(items[i:][:1], ok); return ok[0] }},
		{"second", func(i int) bool { cold.VerifyBatch(items[i:][:1], ok); return ok[0] }},
	}
	times := make([][]time.Duration, len(ways))
	for n := 0; b.Loop(); n++ {
		if n%100 == 0 {
			cold = keys.NewVerifier()
		}
		for w, way := range ways {
			start := time.Now()
			if !way.verify(2 * (n % 100)) {
				b.Fatalf("%s: not accepted", way.name)
			}
			times[w] = append(times[w], time.Since(start))
		}
	}
	std := median(times[0])
	for w, way := range ways {
		b.ReportMetric(median(times[w])/1e3, way.name+"-µs")
		b.ReportMetric(median(times[w])/std, way.name+"/std")
	}
}

// median returns the median in nanoseconds.
func median(d []time.Duration) float64 {
	slices.Sort(d)
	return float64(d[len(d)/2])
}

// BenchmarkVerifyParallel has all cores share one Verifier.
func BenchmarkVerifyParallel(b *testing.B) {
	items := signedBy(100, 2)
	v := keys.NewVerifier()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		ok := make([]bool, 1)
		for i := 0; pb.Next(); i++ {
			v.VerifyBatch(items[i%len(items):][:1], ok)
		}
	})
}
