package node_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ssbsync/ssbsync/spec/muxrpc"
	"github.com/ssbsync/ssbsync/spec/refs"
)

// blobPatience is how long a test waits for what must happen.
const blobPatience = 2 * time.Minute

// addBlob adds a blob.
func addBlob(t testing.TB, s *muxrpc.Session, data []byte) refs.Blob {
	t.Helper()
	if err := tryAdd(s, data); err != nil {
		t.Fatal(err)
	}
	return refs.SumBlob(data)
}

func tryAdd(s *muxrpc.Session, data []byte, args ...any) error {
	ctx, stop := context.WithTimeout(context.Background(), blobPatience)
	defer stop()
	st, err := s.Sink(ctx, "blobs.add", args...)
	if err != nil {
		return err
	}
	for len(data) > 0 {
		n := min(len(data), 1<<16)
		if err := st.Send(ctx, data[:n]); err != nil {
			break // Finish says why
		}
		data = data[n:]
	}
	return st.Finish(ctx)
}

// getBlob reads the answer of get or getSlice.
func getBlob(s *muxrpc.Session, method, argument string) ([]byte, error) {
	ctx, stop := context.WithTimeout(context.Background(), blobPatience)
	defer stop()
	var args []any
	if argument != "" {
		args = append(args, raw("%s", argument))
	}
	st, err := s.Source(ctx, method, args...)
	if err != nil {
		return nil, err
	}
	defer st.Close(nil)
	var data []byte
	for {
		item, err := st.Recv(ctx)
		if errors.Is(err, io.EOF) {
			return data, nil
		}
		if err != nil {
			return data, err
		}
		if len(item.Body) == 0 || len(item.Body) > 1<<16 || item.Kind != muxrpc.Binary {
			return data, fmt.Errorf("a packet of %d bytes of %v", len(item.Body), item.Kind)
		}
		data = append(data, item.Body...)
	}
}

// Blobs of the recordings below.
var (
	helloBlob = refs.SumBlob([]byte("hello world")).String()
	noBlob    = refs.SumBlob([]byte("not there")).String()
	emptyBlob = refs.SumBlob(nil).String()
)

// TestBlobAnswers compares with what an ssb-server 16 with ssb-blobs 1.2.2
// answered, errors included. Where it hung or fell over, we say something.
func TestBlobAnswers(t *testing.T) {
	r := start(t, `{}`)
	s := r.socket(t)
	addBlob(t, s, []byte("hello world"))
	for _, c := range []struct{ method, args, answer, failure string }{
		{"has", `"H"`, `true`, ""},
		{"has", `"N"`, `false`, ""},
		{"has", `"nonsense"`, ``, `invalid id:null`},
		{"has", `["H","N"]`, `[true,false]`, ``},
		{"has", `["H","x"]`, ``, `invalid id:x`},
		{"has", `{"id":"H"}`, `true`, ``},
		{"has", `{"key":"H"}`, ``, `invalid id:null`},
		{"has", `null`, ``, `invalid id:null`},
		{"has", `5`, ``, `invalid id:null`},
		{"has", `"@aH2/3uwfwrUOMO2/rDOfqCNFk7/C++8YGE/ydbkwkQI=.ed25519"`, ``, `invalid id:null`},
		{"size", `"H"`, `11`, ``},
		{"size", `"N"`, `null`, ``},
		{"size", `"E"`, `0`, ``},
		{"size", `["H","N"]`, `[11,null]`, ``},
		{"size", `{"id":"H"}`, `11`, ``},
		{"size", `[]`, `[]`, ``},
		{"want", `"H"`, `true`, ``},
		{"want", `"E"`, `true`, ``},
		{"want", `{"id":"H"}`, `true`, ``},
		{"want", `"nonsense"`, ``, `invalid id:null`},
		{"want", `["H","N"]`, ``, `invalid id:H,N`},
		{"push", `"H"`, `false`, ``},
		{"push", `"nonsense"`, ``, `invalid hash:null`},
		{"push", `["H","N"]`, ``, `invalid hash:H,N`},
		{"rm", `"N"`, ``, `blob N: blob not found`},
		{"rm", `"E"`, `false`, ``},
		{"rm", `"x"`, ``, `invalid id:null`},
		{"meta", `"N"`, ``, `blob N: blob not found`},
	} {
		fill := strings.NewReplacer("H", helloBlob, "N", noBlob, "E", emptyBlob)
		answer, err := s.Async(context.Background(), "blobs."+c.method, raw("%s", fill.Replace(c.args)))
		message := ""
		if err != nil {
			message = err.Error()
		}
		if string(answer) != c.answer || message != fill.Replace(c.failure) {
			t.Errorf("%s(%s): %s, %q", c.method, c.args, answer, message)
		}
	}
	for _, c := range []struct{ method, argument, data, failure string }{
		{"get", `"H"`, "hello world", ""},
		{"get", `"N"`, "", `could not get blob`},
		{"get", `"E"`, "", ``},
		{"get", `"nonsense"`, "", `multiblob.get: {id} is mandatory`},
		{"get", `"../../secret"`, "", `multiblob.get: {id} is mandatory`},
		{"get", `{"id":"H"}`, "hello world", ``},
		{"get", `{"key":"H"}`, "hello world", ``},
		{"get", `{"hash":"H"}`, "hello world", ``},
		{"get", `{"key":"H","size":11}`, "hello world", ``},
		{"get", `{"key":"H","size":12}`, "", `incorrect file length, requested:12 file was:11 for file:H`},
		{"get", `{"key":"H","max":5}`, "", `incorrect file length, requested:undefined file was:11 for file:H`},
		{"get", `{"key":"H","max":11}`, "hello world", ``},
		{"get", `{}`, "", `multiblob.get: {id} is mandatory`},
		{"get", `["H"]`, "", `multiblob.get: {id} is mandatory`},
		{"get", ``, "", `multiblob.get: {id} is mandatory`},
		{"getSlice", `{"id":"H","start":2,"end":5}`, "llo", ``},
		{"getSlice", `{"id":"H","start":2}`, "", `multiblob.getSlice: {end} must be a number`},
		{"getSlice", `{"id":"H"}`, "", `multiblob.getSlice: {start} must be a number`},
		{"getSlice", `"H"`, "", `multiblob.getSlice: {start} must be a number`},
		{"getSlice", `{"id":"H","start":0,"end":0}`, "hello world", ``},
		{"getSlice", `{"id":"H","start":5,"end":100}`, " world", ``},
		{"getSlice", `{"id":"H","start":2,"end":5,"size":11}`, "llo", ``},
		{"getSlice", `{"id":"H","start":2,"end":5,"size":12}`, "", `incorrect file length, requested:12 file was:11 for file:H`},
		{"getSlice", `{"hash":"H","start":null,"end":null}`, "hello world", ``},
		{"getSlice", `{"id":"H","start":50,"end":100}`, "", ``},
		// each of these ends an ssb-server
		{"getSlice", `{"id":"H","start":5,"end":2}`, "", `multiblob.getSlice: {end} must not be less than {start}`},
		{"getSlice", `{"id":"H","start":"2","end":"5"}`, "", `multiblob.getSlice: {start} must be a number`},
		{"getSlice", `{"id":"H","start":-1,"end":5}`, "", `multiblob.getSlice: {start} must be a number`},
		{"getSlice", `{"id":"H","start":1.5,"end":5}`, "", `multiblob.getSlice: {start} must be a number`},
		{"getSlice", `{"id":"H","start":1e300,"end":1e301}`, "", `multiblob.getSlice: {start} must be a number`},
	} {
		fill := strings.NewReplacer("H", helloBlob, "N", noBlob, "E", emptyBlob)
		data, err := getBlob(s, "blobs."+c.method, fill.Replace(c.argument))
		message := ""
		if err != nil {
			message = err.Error()
		}
		if string(data) != c.data || message != fill.Replace(c.failure) {
			t.Errorf("%s(%s): %q, %q", c.method, c.argument, data, message)
		}
	}
}

// TestBlobAdd adds, lists, and removes, and follows what comes.
func TestBlobAdd(t *testing.T) {
	r := start(t, `{"blobs":{"max":100000}}`)
	s := r.socket(t)
	hello, large := []byte("hello world"), bytes.Repeat([]byte{7}, 100_000)
	ctx := context.Background()
	live, err := s.Source(ctx, "blobs.ls", raw(`{"live":true,"meta":true}`))
	if err != nil {
		t.Fatal(err)
	}
	if item, err := live.Recv(ctx); err != nil || string(item.Body) != `{"sync":true}` {
		t.Fatalf("%s, %v", item.Body, err)
	}
	for _, c := range []struct {
		data    []byte
		args    []any
		failure string
	}{
		{hello, nil, ""},
		{hello, []any{helloBlob}, ""},
		{hello, []any{raw(`{"id":"%s"}`, helloBlob)}, ""},
		{hello, []any{raw(`null`)}, ""},
		{large, nil, ""},
		{nil, nil, ""},
		{hello, []any{noBlob}, "actual hash:" + helloBlob + " did not match expected id:" + noBlob},
		{hello, []any{"nonsense"}, "not a valid hash: null"},
		{append(large, 7), nil, "storing a blob: more than 100000 bytes: blob is too large"},
	} {
		err := tryAdd(s, c.data, c.args...)
		message := ""
		if err != nil {
			message = err.Error()
		}
		if message != c.failure {
			t.Errorf("adding %d bytes as %v: %q", len(c.data), c.args, message)
		}
	}
	ids := []string{`"` + refs.SumBlob(large).String() + `"`, `"` + helloBlob + `"`, `"` + emptyBlob + `"`}
	if list := collect(t, s, -1, "blobs.ls", `{}`); !slices.Equal(list, ids) {
		t.Errorf("listed %q", list)
	}
	var meta struct {
		ID       string
		Size, TS int64
	}
	if list := collect(t, s, 1, "blobs.ls", `{"meta":true}`); true {
		unmarshal(t, list[0], &meta)
	}
	if meta.Size != 100_000 || meta.TS < 1e12 || meta.ID != refs.SumBlob(large).String() {
		t.Errorf("meta %+v", meta)
	}
	item, err := live.Recv(ctx)
	if err == nil {
		err = item.Unmarshal(&meta)
	}
	if err != nil || meta.ID != helloBlob || meta.Size != 11 {
		t.Errorf("live: %+v, %v", meta, err)
	}
	if answer := call(t, s, "blobs.rm", helloBlob); answer != "false" {
		t.Errorf("removing answers %s", answer)
	}
	if answer := call(t, s, "blobs.has", helloBlob); answer != "false" {
		t.Error("it is still there")
	}
	dir := filepath.Join(r.home, "blobs", "tmp")
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left in tmp: %v, %v", left, err)
	}
}

// TestBlobChanges follows the blobs that come.
func TestBlobChanges(t *testing.T) {
	r := start(t, `{}`)
	s := r.socket(t)
	changes, err := s.Source(context.Background(), "blobs.changes")
	if err != nil {
		t.Fatal(err)
	}
	heard := make(chan string, 1<<12)
	go func() {
		for {
			item, err := changes.Recv(context.Background())
			if err != nil {
				return
			}
			heard <- item.Text()
		}
	}()
	n := 0
	until(t, "it is heard what comes", func() bool {
		n++
		addBlob(t, s, fmt.Append(nil, n))
		return len(heard) > 0
	})
	last := addBlob(t, s, []byte("the last"))
	for id := range heard {
		if id == last.String() {
			return
		}
	}
}

// TestBlobStrangers: they may ask for blobs, and no more.
func TestBlobStrangers(t *testing.T) {
	r := start(t, `{}`)
	addBlob(t, r.socket(t), []byte("hello world"))
	s := r.dial(t, stranger(t))
	if data, err := getBlob(s, "blobs.get", `"`+helloBlob+`"`); err != nil || string(data) != "hello world" {
		t.Errorf("%q, %v", data, err)
	}
	if answer := call(t, s, "blobs.has", helloBlob); answer != "true" {
		t.Errorf("has: %s", answer)
	}
	for _, method := range []string{"size", "want", "push", "rm", "meta"} {
		if _, err := s.Async(context.Background(), "blobs."+method, helloBlob); err == nil || err.Error() != "method:blobs,"+method+" is not in list of allowed methods" {
			t.Errorf("%s: %v", method, err)
		}
	}
	if err := tryAdd(s, []byte("smuggled")); err == nil {
		t.Error("a stranger added a blob")
	}
	if answer := call(t, r.socket(t), "blobs.has", helloBlob); answer != "true" {
		t.Error("a stranger removed a blob")
	}
}

// hasBlob waits until a blob is there.
func (r *running) hasBlob(t testing.TB, id refs.Blob) {
	t.Helper()
	s := r.socket(t)
	for began := time.Now(); call(t, s, "blobs.has", id.String()) != "true"; time.Sleep(20 * time.Millisecond) {
		if time.Since(began) > blobPatience {
			t.Fatalf("blob %s did not come; wanted: %v", id, collect(t, s, -1, "blobs.wants", `{}`))
		}
	}
}

// TestBlobsOfMessages: what those whom we follow refer to comes by itself, over
// one that only passes it on, and what others refer to does not; a restart
// changes nothing.
func TestBlobsOfMessages(t *testing.T) {
	home := t.TempDir()
	author, us := start(t, `{}`), startIn(t, home, `{"friends":{"hops":1}}`)
	a, b := author.socket(t), us.socket(t)
	image := addBlob(t, a, []byte("an image"))
	linked := addBlob(t, a, []byte("in a text"))
	unrelated := addBlob(t, a, []byte("nobody refers to it"))
	publish(t, a, fmt.Sprintf(`{"type":"about","about":"%s","image":{"link":"%s","size":8}}`, author.id(t), image))
	publish(t, a, fmt.Sprintf(`{"type":"post","text":"![x](%s) and %s"}`, linked, strings.Repeat("&", 50)))
	publish(t, b, fmt.Sprintf(`{"type":"contact","contact":"%s","following":true}`, author.id(t)))
	publish(t, b, fmt.Sprintf(`{"type":"post","text":"ours, %s"}`, refs.SumBlob([]byte("our own"))))
	call(t, b, "gossip.connect", author.addr.String())
	us.hasBlob(t, image)
	us.hasBlob(t, linked)
	if call(t, b, "blobs.has", unrelated.String()) != "false" {
		t.Error("got what nobody refers to")
	}
	us.stop()

	us = startIn(t, home, `{"friends":{"hops":1}}`)
	until(t, "what is missing is wanted after a restart", func() bool {
		wanted := collect(t, us.socket(t), -1, "blobs.wants", `{}`)
		return slices.Equal(wanted, []string{fmt.Sprintf(`{"id":"%s","hops":-1,"why":"referenced"}`, refs.SumBlob([]byte("our own")))})
	})
	call(t, us.socket(t), "blobs.rm", image.String())
	call(t, us.socket(t), "gossip.connect", author.addr.String())
	late := addBlob(t, a, []byte("late"))
	publish(t, a, fmt.Sprintf(`{"type":"post","text":"%s"}`, late))
	us.hasBlob(t, late)
	if call(t, us.socket(t), "blobs.has", image.String()) != "false" {
		t.Error("what the user removed came back")
	}
	call(t, us.socket(t), "blobs.want", image.String()) // it is asked for
	us.hasBlob(t, image)
}

// until waits for something.
func until(t testing.TB, what string, done func() bool) {
	t.Helper()
	for began := time.Now(); !done(); time.Sleep(20 * time.Millisecond) {
		if time.Since(began) > blobPatience {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// TestBlobPolicy: none are wanted when the config says so.
func TestBlobPolicy(t *testing.T) {
	for hops, wanted := range map[int]int{-1: 0, 0: 1} {
		r := start(t, fmt.Sprintf(`{"ssbsync":{"blobs":{"hops":%d}}}`, hops))
		s := r.socket(t)
		publish(t, s, fmt.Sprintf(`{"type":"post","text":"%s"}`, noBlob))
		marker := refs.SumBlob([]byte("marker"))
		call(t, s, "blobs.want", marker.String(), raw(`{"nowait":true}`))
		r.stop() // run has ended: what is wanted is worked out at the call
		r = startIn(t, r.home, fmt.Sprintf(`{"ssbsync":{"blobs":{"hops":%d}}}`, hops))
		until(t, "what is wanted after a restart", func() bool { return len(collect(t, r.socket(t), -1, "blobs.wants", `{}`)) == wanted+1 })
	}
}

// TestBlobsOfPrivate: what a private message refers to is wanted by those who can
// read it, and by nobody else.
func TestBlobsOfPrivate(t *testing.T) {
	a, b := start(t, `{}`), start(t, `{"ssbsync":{"replicate":"all"}}`)
	s := a.socket(t)
	call(t, s, "publish", raw(`{"type":"post","text":"for me: %s","recps":["%s"]}`, noBlob, a.id(t)))
	carry(t, s, b.socket(t))
	publish(t, b.socket(t), fmt.Sprintf(`{"type":"post","text":"%s"}`, helloBlob))
	wanted := func(r *running) []string { return collect(t, r.socket(t), -1, "blobs.wants", `{}`) }
	until(t, "the reader wants it", func() bool {
		return slices.Equal(wanted(a), []string{fmt.Sprintf(`{"id":"%s","hops":-1,"why":"referenced"}`, noBlob)})
	})
	until(t, "another reads on", func() bool { return len(wanted(b)) > 0 })
	if list := wanted(b); len(list) != 1 || strings.Contains(list[0], noBlob) {
		t.Errorf("another wants %s", list)
	}
}

// TestBlobsOfLateMember: who comes into a group wants what its messages from
// before refer to.
func TestBlobsOfLateMember(t *testing.T) {
	a, b := start(t, `{}`), start(t, `{"ssbsync":{"replicate":"all"}}`)
	as, bs := a.socket(t), b.socket(t)
	g := create(t, as)
	say(t, as, "before: "+noBlob, g.ID)
	publish(t, as, fmt.Sprintf(`{"type":"post","text":"%s"}`, helloBlob))
	carry(t, as, bs)
	wanted := func() string { return strings.Join(collect(t, bs, -1, "blobs.wants", `{}`), " ") }
	until(t, "it reads what it can", func() bool { return strings.Contains(wanted(), helloBlob) })
	if strings.Contains(wanted(), noBlob) {
		t.Errorf("wants %s", wanted())
	}
	call(t, as, "tribes2.addMembers", g.ID, []string{b.id(t)})
	carry(t, as, bs)
	until(t, "a new member wants it", func() bool { return strings.Contains(wanted(), noBlob) })
}

// TestBlobQuota: what nobody refers to goes for what somebody wants, and what
// was added here, or is referred to, stays.
func TestBlobQuota(t *testing.T) {
	source, us := start(t, `{}`), start(t, `{"ssbsync":{"blobs":{"quota":100000}}}`)
	a, b := source.socket(t), us.socket(t)
	data := func(n byte) []byte { return bytes.Repeat([]byte{n}, 30_000) }
	own := addBlob(t, b, data(1))
	referred := addBlob(t, a, data(2))
	publish(t, b, fmt.Sprintf(`{"type":"post","text":"%s"}`, referred))
	call(t, b, "gossip.connect", source.addr.String())
	us.hasBlob(t, referred)
	for n := byte(3); n < 10; n++ {
		id := addBlob(t, a, data(n))
		if answer := call(t, b, "blobs.want", id.String()); answer != "true" {
			t.Errorf("wanting blob %d: %s", n, answer)
		}
	}
	list := collect(t, b, -1, "blobs.ls", `{}`)
	if len(list) != 4 || !slices.Contains(list, `"`+own.String()+`"`) || !slices.Contains(list, `"`+referred.String()+`"`) {
		t.Errorf("%d blobs are kept: %q, own %s, referred to %s", len(list), list, own, referred)
	}
	kept := addBlob(t, b, data(9)) // what was fetched is ours now
	for n := byte(20); n < 25; n++ {
		call(t, b, "blobs.want", addBlob(t, a, data(n)).String())
	}
	if call(t, b, "blobs.has", kept.String()) != "true" {
		t.Error("what was added here was removed")
	}
}
