package node_test

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ssbsync/ssbsync/spec/refs"
)

// httpBase is where a server with an HTTP port serves blobs.
func (r *running) httpBase(t testing.TB) string {
	t.Helper()
	var status struct{ Server struct{ HTTP string } }
	unmarshal(t, call(t, r.socket(t), "ssbsync.status"), &status)
	if status.Server.HTTP == "" {
		t.Fatal("no HTTP address")
	}
	return status.Server.HTTP
}

// request makes a request and reads the answer.
func request(t testing.TB, method, address string, header map[string]string) (*http.Response, []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range header {
		if req.Header.Set(name, value); name == "Host" {
			req.Host = value
		}
	}
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, body
}

func TestBlobHTTP(t *testing.T) {
	r := start(t, `{"ssbsync":{"http":0}}`)
	s := r.socket(t)
	base := r.httpBase(t)
	data := append([]byte("\x89PNG\r\n\x1a\n"), bytes.Repeat([]byte("picture "), 10_000)...)
	id := addBlob(t, s, data)
	html := addBlob(t, s, []byte("<html><script>alert(1)</script>"))
	svg := addBlob(t, s, []byte(`<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>`))
	twoSlashes := addBlob(t, s, slashes(t))
	port := base[strings.LastIndex(base[:len(base)-len("/blobs/get/")], ":"):]
	port = port[:strings.Index(port, "/")]
	etag := `"` + id.String() + `"`
	for _, c := range []struct {
		what, method, path string
		header             map[string]string
		code               int
		body               string
	}{
		{"as it is", "GET", id.String(), nil, 200, string(data)},
		{"escaped", "GET", url.PathEscape(id.String()), nil, 200, string(data)},
		{"as encodeURIComponent does", "GET", strings.NewReplacer("&", "%26", "/", "%2F", "=", "%3D", "+", "%2B").Replace(id.String()), nil, 200, string(data)},
		{"with a query", "GET", id.String() + "?contentType=text/html", nil, 200, string(data)},
		{"slashes", "GET", twoSlashes.String(), nil, 200, string(slashes(t))},
		{"HEAD", "HEAD", id.String(), nil, 200, ""},
		{"a range", "GET", id.String(), map[string]string{"Range": "bytes=1-3"}, 206, "PNG"},
		{"the end", "GET", id.String(), map[string]string{"Range": "bytes=-8"}, 206, "picture "},
		{"beyond the end", "GET", id.String(), map[string]string{"Range": "bytes=900000-"}, 416, "invalid range: failed to overlap\n"},
		{"known", "GET", id.String(), map[string]string{"If-None-Match": etag}, 304, ""},
		{"a range of the same", "GET", id.String(), map[string]string{"Range": "bytes=1-3", "If-Range": etag}, 206, "PNG"},
		{"a range of another", "GET", id.String(), map[string]string{"Range": "bytes=1-3", "If-Range": `"other"`}, 200, string(data)},
		{"by localhost", "GET", id.String(), map[string]string{"Host": "localhost" + port}, 200, string(data)},
		{"from a page of this machine", "GET", id.String(), map[string]string{"Sec-Fetch-Site": "same-site"}, 200, string(data)},
		{"the empty one", "GET", emptyBlob, nil, 200, ""},
		{"not here", "GET", noBlob, nil, 404, "this blob is not here\n"},
		{"no id", "GET", "nonsense", nil, 404, "not a blob\n"},
		{"another path", "GET", "../../secret", nil, 404, "not a blob\n"},
		{"an escaped path", "GET", "..%2f..%2f..%2fsecret", nil, 404, "not a blob\n"},
		{"a feed", "GET", r.id(t), nil, 404, "not a blob\n"},
		{"id and more", "GET", id.String() + "/x", nil, 404, "not a blob\n"},
		{"by another name", "GET", id.String(), map[string]string{"Host": "evil.example" + port}, 421, fmt.Sprintf("this is not %q\n", "evil.example"+port)},
		{"by a name that looks like ours", "GET", id.String(), map[string]string{"Host": "localhost.evil.example" + port}, 421, fmt.Sprintf("this is not %q\n", "localhost.evil.example"+port)},
		{"by another port", "GET", id.String(), map[string]string{"Host": "localhost:1"}, 421, "this is not \"localhost:1\"\n"},
		{"without a port", "GET", id.String(), map[string]string{"Host": "localhost"}, 421, "this is not \"localhost\"\n"},
		{"by another address", "GET", id.String(), map[string]string{"Host": "192.168.1.5" + port}, 421, fmt.Sprintf("this is not %q\n", "192.168.1.5"+port)},
		{"from another site", "GET", id.String(), map[string]string{"Sec-Fetch-Site": "cross-site"}, 403, "not for other sites\n"},
		{"POST", "POST", id.String(), nil, 405, "only GET and HEAD\n"},
		{"DELETE", "DELETE", id.String(), nil, 405, "only GET and HEAD\n"},
	} {
		resp, body := request(t, c.method, base+c.path, c.header)
		if resp.StatusCode != c.code || string(body) != c.body {
			t.Errorf("%s: %d, %.60q", c.what, resp.StatusCode, body)
		}
		if resp.Header.Get("X-Content-Type-Options") != "nosniff" || resp.Header.Get("Content-Security-Policy") != "default-src 'none'; sandbox" {
			t.Errorf("%s: headers %v", c.what, resp.Header)
		}
		if c.code == 200 && c.path != emptyBlob && resp.Header.Get("ETag") == "" {
			t.Errorf("%s: no ETag", c.what)
		}
	}
	for blob, typ := range map[refs.Blob]string{id: "image/png", html: "application/octet-stream", svg: "application/octet-stream"} {
		if resp, _ := request(t, "GET", base+blob.String(), nil); resp.Header.Get("Content-Type") != typ {
			t.Errorf("blob %s is served as %s", blob, resp.Header.Get("Content-Type"))
		}
	}
	if resp, _ := request(t, "GET", strings.TrimSuffix(base, "/blobs/get/")+"/", nil); resp.StatusCode != 404 {
		t.Errorf("the root: %d", resp.StatusCode)
	}
}

// slashes returns bytes whose id has two slashes beside each other, which
// servers like to make one.
func slashes(t testing.TB) []byte {
	for n := range 1 << 20 {
		if data := fmt.Append(nil, n); strings.Contains(refs.SumBlob(data).String(), "//") {
			return data
		}
	}
	t.Fatal("there is none")
	return nil
}

// TestBlobHTTPOff: nothing listens unless the config says so.
func TestBlobHTTPOff(t *testing.T) {
	for _, config := range []string{`{}`, `{"ssbsync":{"http":false}}`} {
		r := start(t, config)
		if status := call(t, r.socket(t), "ssbsync.status"); strings.Contains(status, `"http"`) {
			t.Errorf("%s: %s", config, status)
		}
	}
}

// TestBlobHTTPDamaged: a browser does not get what is not the blob, which it
// would keep, and gets the blob once it is repaired.
func TestBlobHTTPDamaged(t *testing.T) {
	r := start(t, `{"ssbsync":{"http":0}}`)
	data := bytes.Repeat([]byte("picture "), 1000)
	id := addBlob(t, r.socket(t), data)
	address := r.httpBase(t) + id.String()
	digits := hex.EncodeToString(id[:])
	file := filepath.Join(r.home, "blobs", "sha256", digits[:2], digits[2:])
	for _, c := range []struct {
		data string
		code int
		body string
	}{
		{string(data), 200, string(data)},
		{"another " + string(data[8:]), 404, "this blob is damaged\n"},
		{"", 404, "this blob is not here\n"},
		{string(data), 200, string(data)},
	} {
		if err := os.WriteFile(file, []byte(c.data), 0o600); err != nil {
			t.Fatal(err)
		}
		at := time.Now().Add(-time.Duration(c.code) * time.Second) // another one than before
		if err := os.Chtimes(file, at, at); err != nil {
			t.Fatal(err)
		}
		if resp, body := request(t, "GET", address, nil); resp.StatusCode != c.code || string(body) != c.body {
			t.Errorf("%.20q: %d %.20q", c.data, resp.StatusCode, body)
		}
	}
}
