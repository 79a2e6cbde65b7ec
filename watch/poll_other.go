//go:build !linux

package watch

import (
	"context"
	"time"
)

// pollEvery keeps the time until a medium is noticed well below half a second.
const pollEvery = 300 * time.Millisecond

// polled is a source that can only be asked.
type polled func() ([]mount, error)

func (p polled) list() ([]mount, error) { return p() }

func (p polled) wait(ctx context.Context, changed func()) error {
	ticker := time.NewTicker(pollEvery)
	defer ticker.Stop()
	for {
		changed()
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}
