//go:build !unix

package main

import (
	"os"
	"time"
)

// ownCPU is not known here.
func ownCPU() time.Duration { return 0 }

// interrupt ends a process: there is no way to ask it.
func interrupt(p *os.Process) error { return p.Kill() }
