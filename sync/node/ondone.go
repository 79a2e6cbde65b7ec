package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/ssbsync/ssbsync/sync/stick"
)

// onDoneLimit is how long a command after a visit may take.
const onDoneLimit = 20 * time.Second

// maxOnDoneOutput bounds what is logged of the output of a command that
// failed, in bytes.
const maxOnDoneOutput = 1024

// OnDone returns a function that runs a command of the user after each visit,
// and waits for it. The shell (/bin/sh -c, cmd /C on Windows) runs it without
// input; what became of the visit is in its environment (README, "The stick
// that syncs itself"), never in its text, which nothing from a stick reaches.
// After 20 seconds it is killed. That it fails is logged.
func OnDone(command string, log *slog.Logger) func(MediaEvent) {
	return func(e MediaEvent) {
		if e.Kind != MediaDone {
			return
		}
		if err := runOnDone(command, e.Environment()); err != nil {
			log.Warn("the command after a visit failed", "path", e.Path, "err", err)
		}
	}
}

// Environment returns what a command is told of the end of a visit, each as
// NAME=value.
func (e *MediaEvent) Environment() []string {
	id := ""
	if e.Stick != (stick.ID{}) {
		id = e.Stick.String()
	}
	safe := "0"
	if e.Safe {
		safe = "1"
	}
	vars := []string{
		"SSBSYNC_STICK=" + id,
		"SSBSYNC_LABEL=" + e.Label,
		"SSBSYNC_PATH=" + e.Path,
		"SSBSYNC_DEVICE=" + e.Device,
		"SSBSYNC_RESULT=" + string(e.Result),
		"SSBSYNC_SAFE=" + safe,
		"SSBSYNC_IN=" + strconv.FormatInt(e.In, 10),
		"SSBSYNC_OUT=" + strconv.FormatInt(e.Out, 10),
		"SSBSYNC_SECONDS=" + strconv.FormatFloat(e.Seconds, 'f', 3, 64),
		"SSBSYNC_ERROR=" + e.Error,
	}
	for i, v := range vars {
		vars[i] = strings.ReplaceAll(v, "\x00", "\uFFFD")
	}
	return vars
}

// runOnDone runs a command until its end or the limit.
func runOnDone(command string, vars []string) error {
	ctx, cancel := context.WithTimeout(context.Background(), onDoneLimit)
	defer cancel()
	cmd := shell(ctx, command)
	cmd.Env = append(os.Environ(), vars...)
	cmd.WaitDelay = time.Second // for what it left in the background
	output := &head{room: maxOnDoneOutput}
	cmd.Stdout, cmd.Stderr = io.Discard, output
	err := cmd.Run()
	switch text := bytes.TrimSpace(output.b); {
	case ctx.Err() != nil:
		return fmt.Errorf("%q was killed after %v", command, onDoneLimit)
	case err == nil || errors.Is(err, exec.ErrWaitDelay):
		return nil
	case len(text) > 0:
		return fmt.Errorf("%q: %v: %s", command, err, text)
	}
	return fmt.Errorf("%q: %v", command, err)
}

// head keeps the beginning of what is written to it.
type head struct {
	room int
	b    []byte
}

func (h *head) Write(p []byte) (int, error) {
	h.b = append(h.b, p[:min(len(p), h.room-len(h.b))]...)
	return len(p), nil
}
