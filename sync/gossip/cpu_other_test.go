//go:build !unix

package gossip_test

import "time"

// cpuTime is not known here: the benchmark's percentage is none.
func cpuTime() time.Duration { return 0 }
