package node_test

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/ssbsync/ssbsync/sync/node"
)

// bound starts a server where its config says and returns where it listens, with
// [::] written as *, and without ports.
func bound(t *testing.T, config string) (*running, []string) {
	t.Helper()
	r := startWith(t, t.TempDir(), config, node.ServerOptions{Port: -1, NoLAN: true})
	var list []string
	for _, text := range r.Bound() {
		transport, address, _ := strings.Cut(text, " ")
		host, _, err := net.SplitHostPort(address)
		if err != nil {
			t.Fatal(err)
		}
		if net.ParseIP(host).IsUnspecified() {
			host = "*"
		}
		list = append(list, transport+" "+host)
	}
	return r, list
}

// TestListeners: what is for this machine alone does not leave it, and the host
// at the top counts where connections.incoming names none.
func TestListeners(t *testing.T) {
	port := freePort(t)
	for _, test := range []struct{ config, want string }{
		{`{"port":0}`, "net *"},
		{`{"port":0,"host":"127.0.0.2"}`, "net 127.0.0.2"},
		{`{"connections":{"incoming":{"net":[{"scope":"device","port":0,"transform":"shs"}]}}}`, "net 127.0.0.1"},
		{`{"connections":{"incoming":{"net":[{"scope":["device"],"port":0}],"ws":[{"scope":"device","port":0}]}}}`, "net 127.0.0.1, ws 127.0.0.1"},
		{`{"host":"0.0.0.0","connections":{"incoming":{"net":[{"scope":"device","port":0}]}}}`, "net 127.0.0.1"},
		{`{"connections":{"incoming":{"net":[{"scope":"device","port":0,"host":"127.0.0.2"}]}}}`, "net 127.0.0.2"},
		{`{"host":"127.0.0.2","connections":{"incoming":{"net":[{"scope":"public","port":0}],"ws":[{"scope":"local","port":0}]}}}`, "net 127.0.0.2, ws 127.0.0.2"},
		{`{"connections":{"incoming":{"net":[{"scope":["device","local"],"port":0}],"ws":[{"scope":"public","port":0}]}}}`, "net *, ws *"},
		{`{"connections":{"incoming":{"net":[{"scope":"nonsense","port":0}]}}}`, "net 127.0.0.1"},
		{fmt.Sprintf(`{"connections":{"incoming":{"net":[{"scope":"local","port":%d,"host":"127.0.0.1"},{"scope":"public","port":%[1]d},{"scope":"local","port":%[1]d}]}}}`, port), "net *"},
	} {
		r, got := bound(t, test.config)
		if slices.Sort(got); strings.Join(got, ", ") != test.want {
			t.Errorf("%s listens on %q, want %s", test.config, got, test.want)
		}
		r.stop()
	}
}

// freePort returns a port that nobody listens on.
func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// TestFlagsOfListeners: --port moves the listener that others reach, wherever it
// stands in the config.
func TestFlagsOfListeners(t *testing.T) {
	const config = `{"connections":{"incoming":{"net":[{"scope":"device","port":%d},{"scope":["local","public"],"port":%[1]d}],"ws":[{"scope":"device","port":0}]}}}`
	r := startWith(t, t.TempDir(), fmt.Sprintf(config, freePort(t)), node.ServerOptions{Port: 0, NoLAN: true})
	if got := r.Bound(); len(got) != 2 || !strings.HasPrefix(got[0], "net [::]:") || !strings.HasPrefix(got[1], "ws 127.0.0.1:") {
		t.Errorf("listens on %q", got)
	}
}

// TestBrowsersBesideWebSockets: both have the port of ssb-ws unless the config
// says otherwise.
func TestBrowsersBesideWebSockets(t *testing.T) {
	port := freePort(t)
	config := `{"ssbsync":{"http":%d},"connections":{"incoming":{"ws":[{"scope":"public","port":%[1]d}]}}}`
	r := startWith(t, t.TempDir(), fmt.Sprintf(config, port), node.ServerOptions{Port: -1, NoLAN: true})
	if got, want := r.httpBase(t), fmt.Sprintf("http://127.0.0.1:%d/blobs/get/", port+1); got != want {
		t.Errorf("browsers are served at %s, want %s", got, want)
	}
}

// TestAddressOfIPv6: what a web socket on IPv6 is told to be is a URL.
func TestAddressOfIPv6(t *testing.T) {
	if l, err := net.Listen("tcp", "[::1]:0"); err != nil {
		t.Skip(err)
	} else {
		l.Close()
	}
	r, _ := bound(t, `{"connections":{"incoming":{"ws":[{"scope":"device","host":"::1","port":0}],"net":[{"scope":"device","host":"::1","port":0}]}}}`)
	got := call(t, r.socket(t), "address", "device")
	if !strings.Contains(got, ";ws://[::1]:") || !strings.HasPrefix(got, `"net:::1:`) {
		t.Errorf("the addresses are %s", got)
	}
	client := start(t, `{}`)
	if _, err := client.socket(t).Async(t.Context(), "conn.connect", r.webSocket(t).String()); err != nil {
		t.Error(err)
	}
}

// TestListenersAreNamed: in log and status each listener is, whomever it is for.
func TestListenersAreNamed(t *testing.T) {
	r, _ := bound(t, `{"connections":{"incoming":{"net":[{"scope":"private","port":0},{"scope":["public","nonsense"],"host":"127.0.0.2","port":0}]}}}`)
	s := r.socket(t)
	local := call(t, s, "address", "local")
	if local != call(t, s, "address", "private") || strings.Contains(local, "127.0.0.2") {
		t.Errorf("the local addresses are %s", local)
	}
	status, log := call(t, s, "ssbsync.status"), r.log.String()
	for _, want := range []string{`"net:localhost:`, `"net:127.0.0.2:`, `"unix:`} {
		if !strings.Contains(status, want) {
			t.Errorf("no %s in %s", want, status)
		}
	}
	for _, want := range []string{`transport=net on=[::]:`, `scope=local`, `on=127.0.0.2:`, `a listener has a scope that is none" transport=net scope=nonsense`} {
		if !strings.Contains(log, want) {
			t.Errorf("no %s in the log\n%s", want, log)
		}
	}
	if strings.Contains(log, "scope=private") {
		t.Errorf("private is taken for no scope\n%s", log)
	}
}

// TestDefaultPorts: those of ssb-config, where web sockets are not in the way of
// TCP.
func TestDefaultPorts(t *testing.T) {
	n, err := openWith(t, `{"connections":{"incoming":{"net":[{"scope":"device"}],"ws":[{"scope":"device"}]}}}`)
	if err != nil {
		t.Fatal(err)
	}
	if got := n.WantedPorts(); got["net"] != 8008 || got["ws"] != 8989 {
		t.Errorf("listens on %v", got)
	}
}
