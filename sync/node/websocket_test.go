package node_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/ssbsync/ssbsync/spec/multiserver"
)

// wsConfig listens for web sockets, besides TCP, and for some that no config
// opens: without a handshake.
const wsConfig = `{"connections":{"incoming":{
	"net":[{"host":"127.0.0.1","scope":["device"]}],
	"ws":[{"host":"127.0.0.1","port":0,"scope":["device"]},{"host":"127.0.0.1","port":0,"transform":"noauth"}]}},
	"ssbsync":{"replicate":"all"}}`

// webSocket returns the address of the server's web sockets.
func (r *running) webSocket(t *testing.T) multiserver.Address {
	t.Helper()
	var text string
	answer, err := r.socket(t).Async(context.Background(), "address", "device")
	if err == nil {
		err = json.Unmarshal(answer, &text)
	}
	if err != nil {
		t.Fatal(err)
	}
	all, err := multiserver.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	var found []multiserver.Address
	for _, addr := range all {
		if addr.Transport() == "ws" {
			found = append(found, addr)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%d web sockets among %s", len(found), text)
	}
	return found[0]
}

// TestWebSocketServer replicates both ways over a web socket, through two whole
// servers.
func TestWebSocketServer(t *testing.T) {
	server, client := start(t, wsConfig), start(t, `{"ssbsync":{"replicate":"all"}}`)
	addr := server.webSocket(t)
	theirs := publish(t, server.socket(t), `{"type":"post","text":"from the server"}`)
	ours := publish(t, client.socket(t), `{"type":"post","text":"from the client"}`)
	if _, err := client.socket(t).Async(context.Background(), "conn.connect", addr.String()); err != nil {
		t.Fatal(err)
	}
	server.waitForMessage(t, ours)
	client.waitForMessage(t, theirs)
	live := publish(t, server.socket(t), `{"type":"post","text":"live"}`)
	client.waitForMessage(t, live)
	if !strings.Contains(server.log.String(), "not listening without a handshake") {
		t.Error("a web socket without a handshake was not refused")
	}
}

// waitForMessage waits until a message has come.
func (r *running) waitForMessage(t *testing.T, id string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	stream, err := r.socket(t).Source(ctx, "createLogStream", json.RawMessage(`{"live":true,"sync":false,"values":false}`))
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close(nil)
	for {
		item, err := stream.Recv(ctx)
		if err != nil {
			t.Fatalf("%s does not come: %v", id, err)
		}
		if string(item.JSON()) == `"`+id+`"` {
			return
		}
	}
}

// TestWebSocketStrangers speaks HTTP to the port of web sockets: nothing is
// served there, and others still get in.
func TestWebSocketStrangers(t *testing.T) {
	server := start(t, wsConfig)
	end, err := server.webSocket(t).Endpoint()
	if err != nil {
		t.Fatal(err)
	}
	host := net.JoinHostPort(end.Host, fmt.Sprint(end.Port))
	for _, request := range []string{
		"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
		"POST /manifest HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}",
		"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: x\r\nCookie: " + strings.Repeat("x", 1<<16) + "\r\n\r\n",
	} {
		conn, err := net.Dial("tcp", host)
		if err != nil {
			t.Fatal(err)
		}
		conn.SetDeadline(time.Now().Add(time.Minute))
		// The server may answer before it has read all, and close.
		_, _ = conn.Write([]byte(request))
		answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err == nil && answer.StatusCode < 400 {
			t.Errorf("%.40q: status %d", request, answer.StatusCode)
		}
		conn.Close()
	}
	client := start(t, `{"ssbsync":{"replicate":"all"}}`)
	if _, err := client.socket(t).Async(context.Background(), "conn.connect", server.webSocket(t).String()); err != nil {
		t.Error(err)
	}
}
