//go:build unix

package node

import (
	"context"
	"os/exec"
	"syscall"
)

// shell returns a command that is killed with all that it started, and that a
// Ctrl-C in our terminal does not reach.
func shell(ctx context.Context, command string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "/bin/sh", "-c", command)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	return cmd
}
