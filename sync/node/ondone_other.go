//go:build !unix

package node

import (
	"context"
	"os/exec"
)

// shell returns a command for the shell of the system.
func shell(ctx context.Context, command string) *exec.Cmd {
	return exec.CommandContext(ctx, "cmd", "/C", command)
}
