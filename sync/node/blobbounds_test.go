package node_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/ssbsync/ssbsync/spec/refs"
)

// TestBlobQuotaTogether: blobs that are fetched at the same time do not exceed
// the quota together.
func TestBlobQuotaTogether(t *testing.T) {
	us := start(t, `{"ssbsync":{"blobs":{"quota":100000}}}`)
	s := us.socket(t)
	var text []string
	var sources []*running
	for n := range byte(6) {
		source := start(t, `{}`)
		text = append(text, addBlob(t, source.socket(t), bytes.Repeat([]byte{n}, 30_000)).String())
		sources = append(sources, source)
	}
	publish(t, s, fmt.Sprintf(`{"type":"post","text":"%s"}`, strings.Join(text, " "))) // none may go for another
	for _, source := range sources {
		call(t, s, "gossip.connect", source.addr.String())
	}
	until(t, "three of them come", func() bool { return len(collect(t, s, -1, "blobs.ls", `{}`)) >= 3 })
	until(t, "the others are held off", func() bool { return strings.Contains(us.log.String(), "is used up") })
	if n := len(collect(t, s, -1, "blobs.ls", `{}`)); n != 3 {
		t.Errorf("%d blobs of 30,000 bytes are here", n)
	}
}

// TestBlobQuotaOwn: what our own messages refer to stays, also when the messages
// of nobody make blobs wanted, and when they were published a moment ago.
func TestBlobQuotaOwn(t *testing.T) {
	source, us := start(t, `{}`), start(t, `{"ssbsync":{"blobs":{"quota":100000,"hops":-1}}}`)
	a, b := source.socket(t), us.socket(t)
	call(t, b, "gossip.connect", source.addr.String())
	var kept []refs.Blob
	for n := range byte(8) {
		id := addBlob(t, a, bytes.Repeat([]byte{n}, 30_000))
		call(t, b, "blobs.want", id.String())
		if n%4 == 0 {
			publish(t, b, fmt.Sprintf(`{"type":"post","text":"%s"}`, id))
			kept = append(kept, id)
		}
	}
	for _, id := range kept {
		if call(t, b, "blobs.has", id.String()) != "true" {
			t.Errorf("%s is gone, to which our own message refers", id)
		}
	}
}

// TestBlobChangesStrangers: strangers are not told what is added here.
func TestBlobChangesStrangers(t *testing.T) {
	r := start(t, `{}`)
	s := r.socket(t)
	ours, err := s.Source(context.Background(), "blobs.changes")
	if err != nil {
		t.Fatal(err)
	}
	st, err := r.dial(t, stranger(t)).Source(context.Background(), "blobs.changes")
	if err != nil {
		t.Fatal(err)
	}
	heard := make(chan string, 1<<10)
	go func() {
		for {
			item, err := st.Recv(context.Background())
			if err != nil {
				return
			}
			heard <- item.Text()
		}
	}()
	n := 0
	until(t, "we hear what is added", func() bool {
		n++
		addBlob(t, s, fmt.Append(nil, n))
		_, err := ours.Recv(context.Background())
		return err != nil || n > 20
	})
	select {
	case id := <-heard:
		t.Errorf("a stranger hears of %s", id)
	default:
	}
}

// TestBlobHTTPPaths asks for everything but blobs, as no browser writes it.
func TestBlobHTTPPaths(t *testing.T) {
	r := start(t, `{"ssbsync":{"http":0}}`)
	base, err := url.Parse(r.httpBase(t))
	if err != nil {
		t.Fatal(err)
	}
	addBlob(t, r.socket(t), []byte("hello world"))
	for line, codes := range map[string][]int{
		"GET /blobs/get/../../secret HTTP/1.1":                                   {404},
		"GET /blobs/get/%2e%2e/%2e%2e/secret HTTP/1.1":                           {404},
		"GET /blobs/get/" + helloBlob + "%00 HTTP/1.1":                           {404},
		"GET /blobs/get/" + helloBlob + "/../../../secret HTTP/1.1":              {404},
		"GET //blobs/get/" + helloBlob + " HTTP/1.1":                             {404},
		"GET /blobs/get/" + strings.Repeat("A", 20_000) + " HTTP/1.1":            {404, 431},
		"GET http://evil.example/blobs/get/" + helloBlob + " HTTP/1.1":           {421},
		"GET /secret HTTP/1.1":                                                   {404},
		"GET /blobs/add HTTP/1.1":                                                {404},
		"CONNECT localhost:22 HTTP/1.1":                                          {405, 421},
		"OPTIONS * HTTP/1.1":                                                     {200, 400, 404, 405},
		"GET /blobs/get/" + strings.ToUpper(helloBlob) + " HTTP/1.1":             {404},
		"GET /blobs/get/" + strings.Replace(helloBlob, "=", "", 1) + " HTTP/1.1": {404},
	} {
		conn, err := net.Dial("tcp", base.Host)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(conn, "%s\r\nHost: %s\r\nConnection: close\r\n\r\n", line, base.Host)
		answer, _ := io.ReadAll(conn)
		conn.Close()
		var code int
		fmt.Sscanf(string(answer), "HTTP/1.1 %d", &code)
		if !slices.Contains(codes, code) || strings.Contains(string(answer), "private") || strings.Contains(string(answer), "hello world") {
			t.Errorf("%.80s: %.200q", line, answer)
		}
	}
}

// TestBlobHTTPMany: connections that do nothing keep nobody out for ever.
func TestBlobHTTPMany(t *testing.T) {
	r := start(t, `{"ssbsync":{"http":0}}`)
	base := r.httpBase(t)
	addBlob(t, r.socket(t), []byte("hello world"))
	address, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	var idle []net.Conn
	for range 80 {
		conn, err := net.Dial("tcp", address.Host)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		idle = append(idle, conn)
	}
	for _, conn := range idle[:40] {
		conn.Close()
	}
	resp, body := request(t, http.MethodGet, base+helloBlob, nil)
	if resp.StatusCode != 200 || string(body) != "hello world" {
		t.Errorf("%d, %q", resp.StatusCode, body)
	}
}
