package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/ssbsync/ssbsync/spec/refs"
	blobfiles "github.com/ssbsync/ssbsync/store/blobs"
)

// DefaultHTTPPort is where blobs are served to browsers: the port of ssb-ws.
const DefaultHTTPPort = 8989

// HTTPConfig says whether blobs are served over HTTP on the loopback interface,
// and on which port: false, true, or a port, 0 for any free one.
type HTTPConfig struct {
	On   bool
	Port int
}

// UnmarshalJSON reads true, false or a port.
func (h *HTTPConfig) UnmarshalJSON(raw []byte) error {
	*h = HTTPConfig{}
	if json.Unmarshal(raw, &h.On) == nil {
		h.Port = DefaultHTTPPort
		return nil
	}
	if json.Unmarshal(raw, &h.Port) != nil || h.Port < 0 || h.Port > 65535 {
		return fmt.Errorf("ssbsync.http: %.40s is neither true, false nor a port", raw)
	}
	h.On = true
	return nil
}

// blobPath is below what blobs are served, as by ssb-ws.
const blobPath = "/blobs/get/"

// listenHTTP opens the listener for browsers, if the config asks for one: on the
// next port where one for web sockets is to be, which ssb-ws has on the same.
func (s *server) listenHTTP(ctx context.Context, others []endpoint) error {
	want := s.node.config.Ssbsync.HTTP
	if !want.On {
		return nil
	}
	port := want.Port
	if port > 0 && slices.ContainsFunc(others, func(e endpoint) bool { return e.transport == "ws" && e.port() == port }) {
		port++
	}
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", net.JoinHostPort(loopback, strconv.Itoa(port)))
	if err != nil {
		return fmt.Errorf("listening for browsers: %w", err)
	}
	s.http = newFewListener(l, maxBrowsers)
	return nil
}

// httpAddress is where browsers find blobs, "" when they do not.
func (s *server) httpAddress() string {
	if s.http == nil {
		return ""
	}
	return "http://" + s.http.Addr().String() + blobPath
}

// serveHTTP serves blobs to browsers until ctx ends.
func (s *server) serveHTTP(ctx context.Context) error {
	if s.http == nil {
		<-ctx.Done()
		return nil
	}
	h := &blobHandler{blobKeeper: s.node.blobs, port: s.http.Addr().(*net.TCPAddr).Port, good: map[blobfiles.Info]struct{}{}}
	srv := &http.Server{
		Handler: h, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 10 * time.Second, IdleTimeout: time.Minute, WriteTimeout: 5 * time.Minute, MaxHeaderBytes: 16 << 10,
		ErrorLog: slog.NewLogLogger(s.node.options.Log.Handler(), slog.LevelDebug),
	}
	defer context.AfterFunc(ctx, func() { srv.Close() })()
	if err := srv.Serve(s.http); !errors.Is(err, http.ErrServerClosed) && ctx.Err() == nil {
		return err
	}
	return nil
}

// blobHandler serves blobs and nothing else. Whatever page the browser shows
// may ask for them, so what it answers can neither run nor be read as something
// it is not, and it answers only to who calls it by a name of this machine: a
// page that made its own name lead here (DNS rebinding) does not.
type blobHandler struct {
	*blobKeeper
	port int

	mu   sync.Mutex
	good map[blobfiles.Info]struct{} // what was compared with its id
}

// maxGood bounds them; more are compared again.
const maxGood = 4096

// compare reports whether a blob is what its id says. A browser keeps what it
// gets for a year, so that a damaged one must not get there; each part of a video
// is asked for by itself, so that the result is kept.
func (h *blobHandler) compare(id refs.Blob) error {
	info, err := h.files.Info(id)
	if err != nil {
		return err
	}
	h.mu.Lock()
	_, good := h.good[info]
	h.mu.Unlock()
	if good {
		return nil
	}
	if err := h.files.Verify(id); err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.good) >= maxGood {
		clear(h.good)
	}
	h.good[info] = struct{}{}
	return nil
}

// ServeHTTP implements http.Handler.
func (h *blobHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	head := w.Header()
	head.Set("X-Content-Type-Options", "nosniff")
	head.Set("Content-Security-Policy", "default-src 'none'; sandbox")
	head.Set("Cross-Origin-Resource-Policy", "same-site")
	head.Set("Referrer-Policy", "no-referrer")
	switch {
	case !h.isOurs(r.Host):
		http.Error(w, "this is not "+strconv.Quote(r.Host), http.StatusMisdirectedRequest)
	case r.Header.Get("Sec-Fetch-Site") == "cross-site":
		http.Error(w, "not for other sites", http.StatusForbidden)
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		head.Set("Allow", "GET, HEAD")
		http.Error(w, "only GET and HEAD", http.StatusMethodNotAllowed)
	default:
		h.serve(w, r)
	}
}

// isOurs reports whether a Host header names this machine and our port.
func (h *blobHandler) isOurs(host string) bool {
	name, port, err := net.SplitHostPort(host)
	if err != nil {
		name, port = strings.Trim(host, "[]"), "80"
	}
	if port != strconv.Itoa(h.port) {
		return false
	}
	ip := net.ParseIP(name)
	return strings.EqualFold(name, "localhost") || ip != nil && ip.IsLoopback()
}

// serve answers a request for a blob.
func (h *blobHandler) serve(w http.ResponseWriter, r *http.Request) {
	id, err := blobOfURL(r.URL)
	if err != nil {
		http.Error(w, "not a blob", http.StatusNotFound)
		return
	}
	switch err := h.compare(id); {
	case errors.Is(err, blobfiles.ErrDamaged):
		http.Error(w, "this blob is damaged", http.StatusNotFound)
		return
	case err != nil:
		http.Error(w, "this blob is not here", http.StatusNotFound)
		return
	}
	f, err := h.files.Open(id)
	if err != nil {
		http.Error(w, "this blob is not here", http.StatusNotFound)
		return
	}
	defer f.Close()
	head := w.Header()
	head.Set("ETag", `"`+id.String()+`"`)
	head.Set("Cache-Control", "private, max-age=31536000, immutable")
	head.Set("Content-Type", harmlessType(f))
	http.ServeContent(w, r, "", time.Time{}, f)
}

// blobOfURL reads the id in a URL; the path may be escaped as a whole or in
// part.
func blobOfURL(u *url.URL) (refs.Blob, error) {
	text, ok := strings.CutPrefix(u.Path, blobPath)
	if !ok {
		return refs.Blob{}, errors.New("not below " + blobPath)
	}
	return refs.ParseBlob(text)
}

// harmlessType is the type of a blob if it is one that browsers only show or
// play, else that of plain bytes.
func harmlessType(f io.ReadSeeker) string {
	const plain = "application/octet-stream"
	var start [512]byte
	n, _ := io.ReadFull(f, start[:])
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return plain
	}
	typ := http.DetectContentType(start[:n])
	kind, _, _ := strings.Cut(typ, "/")
	switch {
	case kind == "image" && !strings.Contains(typ, "svg"), kind == "audio", kind == "video", strings.HasPrefix(typ, "text/plain"):
		return typ
	}
	return plain
}
