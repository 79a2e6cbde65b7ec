//go:build ci

package stick_test

import (
	"errors"
	"testing"

	"github.com/ssbsync/ssbsync/sync/stick"
)

func TestRealLimitOfFiles(t *testing.T) {
	b, m := newNode(t, 2), newMedium(t)
	st := m.open()
	crowd(t, m, stick.MaxFiles+1)
	if _, err := b.peer.Visit(t.Context(), st, stick.VisitOptions{}); !errors.Is(err, stick.ErrTooManyFiles) {
		t.Errorf("%d files: %v", stick.MaxFiles+1, err)
	}
}
