// Command ssbsync carries Secure Scuttlebutt feeds over networks and, where
// there is none, on USB sticks. See the README at the top of the repository.
package main

import (
	"context"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
)

// memoryGoal is the size of the heap, in bytes, from which garbage is collected
// more eagerly: this program runs on small machines. With 128 MiB an import of
// 100,000 messages took half as much CPU again. GOMEMLIMIT overrides it.
const memoryGoal = 160 << 20

func main() {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryGoal)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // the second Ctrl-C kills
	code := run(ctx, os.Args, os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}
