//go:build ci

package main

import (
	"fmt"
	"strings"
	"testing"
)

// TestClientOverWebSocket makes some calls through npm ssb-client over a web
// socket, as apps in browsers do, and over the unix socket.
func TestClientOverWebSocket(t *testing.T) {
	port := freePort(t)
	m := newMachine(t, map[string]any{"connections": obj{"incoming": obj{
		"net": []any{obj{"host": "127.0.0.1", "scope": "device"}},
		"ws":  []any{obj{"host": "127.0.0.1", "port": port, "scope": "device", "transform": "shs"}},
	}}})
	us := m.ours()
	_, key, _ := strings.Cut(us.Address, "~shs:")
	calls := []remote{
		{Method: "publish", Args: []any{obj{"type": "post", "text": strings.Repeat("long ", 1000)}}},
		{Method: "get", Args: []any{"$0.key"}},
		{Method: "createLogStream", Type: "source", Args: []any{obj{"limit": 1}}},
		{Method: "manifest", Args: []any{}},
	}
	for _, address := range []string{
		fmt.Sprintf("ws://127.0.0.1:%d~shs:%s", port, key),
		"unix:" + m.path() + "/socket~noauth:" + key,
	} {
		for i, line := range us.callsTo(address, calls) {
			if strings.Contains(line, `"error"`) || len(line) < 100 {
				t.Errorf("%s: %s: %.300s", address, calls[i].Method, line)
			}
		}
	}
}
