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
	ctx, stop := untilSignal()
	context.AfterFunc(ctx, stop) // the second Ctrl-C kills
	code := run(ctx, os.Args, os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// untilSignal returns a context that ends with the first signal to stop: Ctrl-C,
// SIGTERM, or SIGHUP when the terminal is closed, unless nohup lets that be
// ignored. Shell and kernel may both send SIGHUP, so a second one is no command
// to stop at once.
func untilSignal() (context.Context, context.CancelFunc) {
	signals := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) {
		signals = append(signals, syscall.SIGHUP)
		signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP) // nobody reads: it stays caught
	}
	return signal.NotifyContext(context.Background(), signals...)
}
