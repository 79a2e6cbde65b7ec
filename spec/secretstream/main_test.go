package secretstream_test

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
)

// TestMain fails when a test left a goroutine behind.
func TestMain(m *testing.M) {
	code := m.Run()
	if left := leaked(); len(left) > 0 && code == 0 {
		fmt.Fprintf(os.Stderr, "%d goroutines left:\n\n%s\n", len(left), strings.Join(left, "\n\n"))
		code = 1
	}
	os.Exit(code)
}

// leaked waits up to 3 seconds for the goroutines that run code of this
// package, other than its caller, to return; and gives the stacks of those that
// did not.
func leaked() (left []string) {
	for range 300 {
		stacks := make([]byte, 1<<20)
		all := strings.Split(string(stacks[:runtime.Stack(stacks, true)]), "\n\n")
		left = nil
		for _, stack := range all[1:] {
			if strings.Contains(stack, "spec/secretstream") {
				left = append(left, stack)
			}
		}
		if len(left) == 0 {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	return left
}
