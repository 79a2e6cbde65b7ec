package keys_test

import (
	stded25519 "crypto/ed25519"
	"fmt"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ssbsync/ssbsync/spec/keys"
)

// BenchmarkVerifyTogether verifies batches of n signatures, of n/20 authors
// and of n, in turns with crypto/ed25519 over the same. It measures the CPU
// time of its thread, so a busy machine disturbs little.
func BenchmarkVerifyTogether(b *testing.B) {
	for _, n := range []int{64, 96, 128, 256, 512, 1024, 2048} {
		for _, each := range []int{1, 20} {
			items := signedBy(max(n/each, 1), each)[:n/each*each]
			b.Run(fmt.Sprintf("%d/%d-of-each", len(items), each), func(b *testing.B) {
				v := keys.NewVerifier()
				ok := make([]bool, len(items))
				var ours, std []time.Duration
				runtime.LockOSThread()
				defer runtime.UnlockOSThread()
				for b.Loop() {
					start := threadTime(b)
					v.VerifyBatch(items, ok)
					ours = append(ours, threadTime(b)-start)
					start = threadTime(b)
					for i := range items {
						ok[i] = stded25519.Verify(items[i].Feed[:], items[i].Msg, items[i].Sig[:])
					}
					std = append(std, threadTime(b)-start)
				}
				b.ReportMetric(median(ours)/1e3/float64(len(items)), "µs/signature")
				b.ReportMetric(median(std)/median(ours), "×std")
			})
		}
	}
}

// threadTime is the CPU time that this thread has used.
func threadTime(b *testing.B) time.Duration {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &now); err != nil {
		b.Fatal(err)
	}
	return time.Duration(now.Nano())
}
