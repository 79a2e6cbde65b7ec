//go:build ci

package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ssbsync/ssbsync/spec/refs"
)

// blobPatience is how long a blob may take to come.
const blobPatience = 2 * time.Minute

// blobLimit is the limit that the tests set: ssb-blobs takes only what is
// smaller than its own, ours what is not larger.
const blobLimit = 5 << 20

// ourBlobs and theirBlobs are the settings that make it the same.
var (
	ourBlobs   = map[string]any{"blobs": map[string]any{"max": blobLimit}}
	theirBlobs = map[string]any{"blobs": map[string]any{"max": blobLimit + 1}}
)

func randomBlob(size int, seed byte) []byte {
	data := make([]byte, size)
	rand.NewChaCha8([32]byte{seed}).Read(data)
	return data
}

// blobFile is where the blob lies on the machine, with either program.
func (m *machine) blobFile(id refs.Blob) string {
	return filepath.Join(m.path(), "blobs", "sha256", fmt.Sprintf("%x", id[:1]), fmt.Sprintf("%x", id[1:]))
}

// addBlob adds a blob at our node.
func (m *machine) addBlob(data []byte) refs.Blob {
	m.t.Helper()
	file := filepath.Join(m.t.TempDir(), "blob")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		m.t.Fatal(err)
	}
	id, err := refs.ParseBlob(strings.TrimSpace(m.cli("blobs", "add", file)))
	if err != nil {
		m.t.Fatal(err)
	}
	return id
}

// addTheirs adds a blob at another program's node.
func (p *peer) addTheirs(data []byte) refs.Blob {
	p.t.Helper()
	line := p.calls([]remote{{Method: "blobs.add", Type: "sink", Args: []any{}, Wait: int(blobPatience.Milliseconds()), Bytes: base64.StdEncoding.EncodeToString(data)}})[0]
	var a answer
	var id refs.Blob
	if err := json.Unmarshal([]byte(line), &a); err != nil || a.Error != "" || json.Unmarshal(a.Answer, &id) != nil {
		p.t.Fatalf("adding a blob: %.500s", line)
	}
	if id != refs.SumBlob(data) {
		p.t.Fatalf("they say that it is %s", id)
	}
	return id
}

// wantTheirs lets another program want a blob, and returns when it is there.
func (p *peer) wantTheirs(ids ...refs.Blob) {
	p.t.Helper()
	var calls []remote
	for _, id := range ids {
		calls = append(calls, remote{Method: "blobs.want", Args: []any{id.String()}, Wait: int(blobPatience.Milliseconds()), Behind: true})
	}
	for i, line := range p.calls(calls) {
		if line != `{"answer":true}` {
			p.t.Errorf("they want %s: %s", ids[i], line)
		}
	}
}

// wantBlobs lets our node want blobs, and returns when they are there.
func (m *machine) wantBlobs(ids ...refs.Blob) {
	m.t.Helper()
	for _, id := range ids {
		m.cli("blobs", "want", id.String())
	}
	for _, id := range ids {
		if out := m.cli("blobs", "want", "--wait", id.String()); strings.TrimSpace(out) != "true" {
			m.t.Errorf("we want %s: %s", id, out)
		}
	}
}

// holds fails unless the machine holds the blob in its file.
func (m *machine) holds(data []byte) {
	m.t.Helper()
	if len(data) == 0 {
		return // needs no file
	}
	id := refs.SumBlob(data)
	if got, err := os.ReadFile(m.blobFile(id)); err != nil || !bytes.Equal(got, data) {
		m.t.Errorf("%d bytes: %d in the file, %v", len(data), len(got), err)
	}
}

var blobSizes = []int{0, 1, 65_535, 65_536, 65_537, 1 << 20, blobLimit}

// blobSet makes blobs of all sizes.
func blobSet(seed byte) (all [][]byte) {
	for _, size := range blobSizes {
		all = append(all, randomBlob(size, seed))
	}
	return all
}

func idsOf(all [][]byte) (ids []refs.Blob) {
	for _, data := range all {
		ids = append(ids, refs.SumBlob(data))
	}
	return ids
}

// TestBlobsTwoHops: what is added at a real ssb-server reaches a node of ours
// that is connected only to another of ours, by wants and sympathy, and what is
// added at that node reaches the ssb-server.
func TestBlobsTwoHops(t *testing.T) {
	them := newMachine(t, theirBlobs).javaScript("classic", "server.js", "2")
	middle, far := newMachine(t, ourBlobs).ours(), newMachine(t, ourBlobs).ours()
	middle.cli("connect", them.Address)
	far.cli("connect", strings.Replace(middle.Address, "localhost", "127.0.0.1", 1))

	theirs := blobSet(1)
	for _, data := range theirs {
		them.addTheirs(data)
	}
	far.wantBlobs(idsOf(theirs)...)
	ours := blobSet(2)
	for _, data := range ours {
		far.addBlob(data)
	}
	them.wantTheirs(idsOf(ours)...)
	for i := range blobSizes {
		far.holds(theirs[i])
		middle.holds(theirs[i])
		them.holds(ours[i])
	}
	t.Logf("%d blobs each way, sizes %v", len(blobSizes), blobSizes)
}

// TestBlobsThroughThem has the ssb-server in the middle: it is the one that has
// sympathy.
func TestBlobsThroughThem(t *testing.T) {
	them := newMachine(t, theirBlobs).javaScript("classic", "server.js", "2")
	near, far := newMachine(t, ourBlobs).ours(), newMachine(t, ourBlobs).ours()
	near.cli("connect", them.Address)
	far.cli("connect", them.Address)
	// An ssb-server could not pass on the second one to another: it ends a blob
	// whose size is a multiple of 65,536 with what they take for a goodbye.
	data := [][]byte{randomBlob(1, 3), randomBlob(65_536, 3), randomBlob(65_537, 3), randomBlob(3_000_001, 3)}
	for _, d := range data {
		near.addBlob(d)
	}
	far.wantBlobs(idsOf(data)...)
	for _, d := range data {
		far.holds(d)
		them.holds(d)
	}
	pushed := randomBlob(70_000, 4)
	near.cli("blobs", "push", near.addBlob(pushed).String())
	blobUntil(t, "what is pushed reaches the others", func() bool {
		_, err := os.Stat(far.blobFile(refs.SumBlob(pushed)))
		return err == nil
	})
	them.holds(pushed)
	far.holds(pushed)
}

// TestBlobsModern exchanges with ssb-blobs 2.
func TestBlobsModern(t *testing.T) {
	them := newMachine(t, nil).javaScript("modern", "peer.js", "2")
	us := newMachine(t, nil).ours()
	them.ask(nil, "whoami") // which waits until it listens
	us.cli("connect", them.Address)
	for i, size := range []int{1, 65_535, 65_536, 65_537, 1 << 20, blobLimit - 1} {
		theirs, ours := randomBlob(size, byte(10+i)), randomBlob(size, byte(20+i))
		us.wantBlobs(them.addTheirs(theirs))
		them.wantTheirs(us.addBlob(ours))
		us.holds(theirs)
		them.holds(ours)
	}
}

// TestBlobsOverTheLimit: neither side takes what is larger than its limit, and
// both go on.
func TestBlobsOverTheLimit(t *testing.T) {
	them := newMachine(t, theirBlobs).javaScript("classic", "server.js", "2")
	us := newMachine(t, ourBlobs).ours()
	generous := newMachine(t, map[string]any{"blobs": map[string]any{"max": 2 * blobLimit}}).ours()
	us.cli("connect", them.Address)
	generous.cli("connect", them.Address)

	tooLarge, fits := randomBlob(blobLimit+1, 30), randomBlob(1000, 31)
	us.cli("blobs", "want", them.addTheirs(tooLarge).String())
	us.wantBlobs(them.addTheirs(fits))
	if _, err := os.Stat(us.blobFile(refs.SumBlob(tooLarge))); err == nil {
		t.Error("we took a blob over the limit")
	}
	if wants := us.cli("blobs", "wants"); !strings.Contains(wants, refs.SumBlob(tooLarge).String()) {
		t.Errorf("we want %s", wants)
	}

	theirs, alsoFits := randomBlob(blobLimit+2, 32), randomBlob(1000, 33)
	generous.addBlob(theirs)
	refused := them.calls([]remote{{Method: "blobs.want", Args: []any{refs.SumBlob(theirs).String()}, Wait: 3000}})[0]
	them.wantTheirs(generous.addBlob(alsoFits))
	if _, err := os.Stat(them.blobFile(refs.SumBlob(theirs))); err == nil || !strings.Contains(refused, "no answer") {
		t.Errorf("they took a blob over the limit: %s", refused)
	}
}

// TestBlobsOfFollowed: what a followed author on a real ssb-server refers to
// comes by itself.
func TestBlobsOfFollowed(t *testing.T) {
	them := newMachine(t, nil).javaScript("classic", "server.js", "2")
	us := newMachine(t, nil).ours()
	data := randomBlob(100_000, 40)
	id := them.addTheirs(data)
	them.ask(nil, "publish", map[string]any{"type": "post", "text": "look", "mentions": []any{map[string]any{"link": id.String(), "name": "a picture", "size": len(data)}}})
	us.cli("follow", them.ID)
	us.cli("connect", them.Address)
	blobUntil(t, "the blob comes", func() bool {
		_, err := os.Stat(us.blobFile(id))
		return err == nil
	})
	us.holds(data)
}

// TestBlobFolderOfTheirs: the folder that an ssb-server left is ours to use, and
// the other way round.
func TestBlobFolderOfTheirs(t *testing.T) {
	m := newMachine(t, nil)
	them := m.javaScript("classic", "server.js", "2")
	data := randomBlob(70_000, 50)
	them.addTheirs(data)
	them.stop()
	other := newMachine(t, nil)
	if err := os.CopyFS(filepath.Join(other.path(), "blobs"), os.DirFS(filepath.Join(m.path(), "blobs"))); err != nil {
		t.Fatal(err)
	}
	if got := other.cli("blobs", "get", refs.SumBlob(data).String()); got != string(data) {
		t.Errorf("read %d bytes", len(got))
	}
	ours := randomBlob(80_000, 51)
	other.addBlob(ours)
	back := newMachine(t, nil)
	if err := os.CopyFS(filepath.Join(back.path(), "blobs"), os.DirFS(filepath.Join(other.path(), "blobs"))); err != nil {
		t.Fatal(err)
	}
	var size int
	back.javaScript("classic", "server.js", "2").ask(&size, "blobs.size", refs.SumBlob(ours).String())
	if size != 80_000 {
		t.Errorf("they find %d bytes", size)
	}
}

// blobUntil waits for something.
func blobUntil(t testing.TB, what string, done func() bool) {
	t.Helper()
	for began := time.Now(); !done(); time.Sleep(50 * time.Millisecond) {
		if time.Since(began) > blobPatience {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}
