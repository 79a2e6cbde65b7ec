package node_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ssbsync/ssbsync/sync/node"
)

// openWith opens a new home folder with a config.
func openWith(t *testing.T, config string) (*node.Node, error) {
	t.Helper()
	home := t.TempDir()
	if err := errors.Join(os.Chmod(home, 0o700), os.WriteFile(filepath.Join(home, "config"), []byte(config), 0o600)); err != nil {
		t.Fatal(err)
	}
	n, err := node.Open(node.Options{Home: home, Version: "test", Log: slog.New(slog.DiscardHandler)})
	if err == nil {
		t.Cleanup(func() {
			if err := n.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	return n, err
}

// TestPubConfig runs with the config of a pub, as the README of ssb-config
// writes it: names that others reach it by in lists, numbers in quotes.
func TestPubConfig(t *testing.T) {
	port := freePort(t)
	r, _ := bound(t, fmt.Sprintf(`{"port":"%d","friends":{"hops":"3","dunbar":150},"external":["example.org"],
		"connections":{"incoming":{"net":[{"scope":["public","device"],"transform":"shs","external":["one.example","two.example"]}],
			"ws":[{"scope":"public","port":"0","external":null}]}}}`, port))
	s := r.socket(t)
	key := strings.TrimSuffix(strings.TrimPrefix(r.id(t), "@"), ".ed25519")
	want := fmt.Sprintf("net:one.example:%d~shs:%s;net:two.example:%d~shs:%s;ws://example.org:", port, key, port, key)
	if got := call(t, s, "address", "public"); !strings.HasPrefix(got, `"`+want) {
		t.Errorf("the addresses are %s, want %s…", got, want)
	}
	if code := call(t, s, "invite.create", 1); !strings.HasPrefix(code, fmt.Sprintf(`"one.example:%d:`, port)) {
		t.Errorf("an invite names %.40s", code)
	}
	if got := call(t, s, "friends.hops"); !strings.Contains(got, r.id(t)) {
		t.Errorf("hops: %s", got)
	}
}

// TestConfigForms: what only the network needs stops the network alone, and is
// named as the config has it.
func TestConfigForms(t *testing.T) {
	for config, want := range map[string]string{
		`{"connections":{"incoming":{"net":{"port":8008}}}}`:      "connections.incoming is an object, not a list",
		`{"connections":{"incoming":{"net":[{"port":"x"}]}}}`:     `connections.incoming.port is the string "x", not a whole number`,
		`{"connections":{"incoming":{"net":[{"external":[1]}]}}}`: "connections.incoming.external is a list, not a list of strings",
		`{"Port":1.5}`:      "port is 1.5, not a whole number",
		`{"host":["a"]}`:    "host is a list, not a string",
		`{"local":"maybe"}`: "local is a string, not true or false",
		`{"master":"me"}`:   "master: ",
	} {
		n, err := openWith(t, config)
		if err != nil {
			t.Errorf("%s: %v", config, err)
			continue
		}
		err = n.Run(context.Background(), node.ServerOptions{Host: "127.0.0.1", NoLAN: true})
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "Go ") {
			t.Errorf("%s: %v, want %s", config, err, want)
		}
	}
	for config, want := range map[string]string{
		`{"friends":{"hops":"many"}}`: `friends.hops is the string "many", not a whole number`,
		`{"caps":{"shs":1}}`:          "caps.shs is a number, not a string",
		`["port"]`:                    "all of it is a list, not an object",
	} {
		if _, err := openWith(t, config); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", config, err, want)
		}
	}
}

// TestOutgoing: connections.outgoing says what is dialled.
func TestOutgoing(t *testing.T) {
	server := start(t, wsConfig)
	addresses := map[string]string{"net": server.addr.String(), "ws": server.webSocket(t).String()}
	for _, test := range []struct {
		config, transport string
		allowed           bool
	}{
		{`{"onion":[{"transform":"shs"}]}`, "net", false},
		{`{"onion":[{"transform":"shs"}]}`, "ws", false},
		{`{}`, "net", false},
		{`{"net":[{"transform":"noauth"}],"ws":[{}]}`, "net", false},
		{`{"net":[{"transform":"noauth"}],"ws":[{}]}`, "ws", true},
		{`{"net":{"transform":"shs"}}`, "net", true},
		{`null`, "net", true},
	} {
		client := start(t, `{"connections":{"outgoing":`+test.config+`}}`)
		_, err := client.socket(t).Async(context.Background(), "conn.connect", addresses[test.transport])
		refusal := "connections.outgoing of the config does not have the transport " + test.transport
		if test.allowed && err != nil || !test.allowed && !strings.Contains(fmt.Sprint(err), refusal) {
			t.Errorf("%s, dialling %s: %v", test.config, test.transport, err)
		}
		client.stop()
	}
}
