package node_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ssbsync/ssbsync/spec/refs"
)

// awaitBlob waits until a blob is there.
func (v *visitor) awaitBlob(id refs.Blob) {
	v.t.Helper()
	until(v.t, "blob "+id.String(), func() bool { return call(v.t, v.s, "blobs.has", id.String()) == "true" })
}

// TestBlobsStartVisits: what no message tells of starts a visit of a folder as
// well: that a blob is asked for, that it is added, that it is pushed. The two
// are strangers to each other, or take every feed.
func TestBlobsStartVisits(t *testing.T) {
	for _, config := range []string{`{}`, kiosk} {
		dir := folder(t)
		a, b := openVisitor(t, settings{config: config}), openVisitor(t, settings{config: config})
		for _, v := range []*visitor{a, b} {
			v.enroll(dir, "shared")
			v.await(dir, "done")
		}
		early := addBlob(t, a.s, []byte("there before it is asked for"))
		late := refs.SumBlob([]byte("asked for before it is there"))
		for _, id := range []refs.Blob{early, late} {
			if answer := call(t, b.s, "blobs.want", id.String(), raw(`{"nowait":true}`)); answer != "false" {
				t.Errorf("%s: wanting %s: %s", config, id, answer)
			}
		}
		b.awaitBlob(early)
		addBlob(t, a.s, []byte("asked for before it is there"))
		b.awaitBlob(late)
		before := bundles(t, dir)
		pushed := addBlob(t, a.s, []byte("pushed"))
		call(t, a.s, "blobs.push", pushed.String())
		until(t, "what is pushed lies in the folder", func() bool { return bundles(t, dir) > before })
	}
}

// TestWantedAfterVisit: a server wants from its peers what the messages refer to
// that a visit brings, though the visit read them first.
func TestWantedAfterVisit(t *testing.T) {
	dir := folder(t)
	author := openVisitor(t, settings{config: kiosk})
	for n := range 3 {
		publish(t, author.s, fmt.Sprintf(`{"type":"post","text":"%s"}`, refs.SumBlob([]byte{byte(n)})))
	}
	author.enroll(dir, "")
	author.awaitMoved(dir, 0, 3)
	author.stop()
	reader := openVisitor(t, settings{config: kiosk})
	reader.enroll(dir, "")
	reader.awaitMoved(dir, 3, 0)
	until(t, "what the messages refer to is wanted", func() bool {
		list := collect(t, reader.s, -1, "blobs.wants", `{}`)
		return len(list) == 3 && !slices.ContainsFunc(list, func(s string) bool { return !strings.Contains(s, `"referenced"`) })
	})
}

// bundles counts those in a folder.
func bundles(t testing.TB, dir string) int {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "ssbsync", "bundles", "*", "*.ssb.zst"))
	if err != nil {
		t.Fatal(err)
	}
	return len(names)
}
