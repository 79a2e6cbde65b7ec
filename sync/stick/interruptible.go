package stick

import (
	"context"
	"io"
)

// interruptible takes nothing more when its context has ended: a bundle may
// take a slow medium a minute, and whoever wants to leave should not wait.
type interruptible struct {
	ctx context.Context
	w   io.Writer
}

// Write implements io.Writer.
func (w *interruptible) Write(p []byte) (int, error) {
	if err := context.Cause(w.ctx); err != nil {
		return 0, err
	}
	return w.w.Write(p)
}
