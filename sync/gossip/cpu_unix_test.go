//go:build unix

package gossip_test

import (
	"syscall"
	"time"
)

// cpuTime is how long processors worked for this process, in its own code and
// in the kernel's.
func cpuTime() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
