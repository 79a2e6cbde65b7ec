package node_test

import (
	"context"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ssbsync/ssbsync/sync/node"
)

// TestLongHome serves in a home folder whose path does not fit into the address
// of a socket.
func TestLongHome(t *testing.T) {
	home := filepath.Join(t.TempDir(), strings.Repeat("a-long-name/", 12))
	n, err := node.Open(node.Options{Home: home, Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	ctx, cancel := context.WithCancel(context.Background())
	ready, ended := make(chan bool), make(chan error, 1)
	go func() {
		ended <- n.Run(ctx, node.ServerOptions{Host: "127.0.0.1", Port: 0, NoLAN: true, Ready: func([]string) { close(ready) }})
	}()
	<-ready
	s, err := node.Dial(context.Background(), home)
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
