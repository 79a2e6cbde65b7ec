package node_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
)

// TestPublishTooLong publishes messages that are too long, boxed ones too: the
// error is the one that programs look for, which then leave something out, and
// what they publish next is stored.
func TestPublishTooLong(t *testing.T) {
	r := start(t, `{}`)
	s := r.socket(t)
	long := `{"type":"post","text":"` + strings.Repeat("x", 9000) + `"`
	for _, content := range []string{long + `}`, long + `,"recps":["` + stranger(t).Feed().String() + `"]}`} {
		_, err := s.Async(context.Background(), "publish", json.RawMessage(content))
		if err == nil || !strings.HasPrefix(err.Error(), "Encoded message must not be larger than 8192 bytes. Current size is ") {
			t.Errorf("%.60s: %v", content, err)
		}
	}
	publish(t, s, `{"type":"post","text":"shorter"}`)
}
