package node_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ssbsync/ssbsync/store"
	"github.com/ssbsync/ssbsync/sync/node"
)

// alike returns a message id that begins like others, as anyone can write it
// down: the index keeps as little of it as of them.
func alike(n int) string {
	return "%" + "SameBeginning" + fmt.Sprintf("%029d", n) + "A=.sha256"
}

// TestLinksAlike reads links whose destinations begin alike, in one message and
// in several.
func TestLinksAlike(t *testing.T) {
	r := start(t, `{}`)
	s := r.socket(t)
	one := publish(t, s, fmt.Sprintf(`{"type":"test","to":["%s","%s","%[1]s"],"from":"%[2]s"}`, alike(1), alike(2)))
	two := publish(t, s, fmt.Sprintf(`{"type":"test","to":{"link":"%s"}}`, alike(2)))
	cases := []struct {
		options string
		want    []string
	}{
		{`{"dest":"` + alike(1) + `","meta":false}`, quoted([]string{one})},
		{`{"dest":"` + alike(2) + `","meta":false}`, quoted([]string{one, one, two})},
		{`{"dest":"` + alike(2) + `","rel":"to","meta":false}`, quoted([]string{one, two})},
		{`{"dest":"` + alike(2) + `","rel":"to","meta":false,"reverse":true}`, quoted([]string{two, one})},
		{`{"dest":"` + alike(2) + `","rel":"from","meta":false}`, quoted([]string{one})},
		{`{"dest":"` + alike(2) + `","rel":"to","meta":false,"limit":1}`, quoted([]string{one})},
		{`{"dest":"` + alike(3) + `","meta":false}`, nil},
		{`{"dest":"%","rel":"to","meta":false}`, quoted([]string{one, one, two})},
		{`{"dest":"%","rel":"to","meta":false,"limit":1}`, quoted([]string{one})},
		{`{"source":"` + r.id(t) + `","dest":"` + alike(2) + `","meta":false}`, quoted([]string{one, one, two})},
		{`{"dest":"@","meta":false}`, nil},
	}
	for _, c := range cases {
		if got := collect(t, s, -1, "links", c.options); !slices.Equal(got, c.want) {
			t.Errorf("links(%s): %q, want %q", c.options, got, c.want)
		}
	}
	full := collect(t, s, -1, "links", `{"dest":"`+alike(1)+`"}`)
	want := fmt.Sprintf(`{"source":"%s","rel":"to","dest":"%s","key":"%s"}`, r.id(t), alike(1), one)
	if !slices.Equal(full, []string{want}) {
		t.Errorf("got %q, want %s", full, want)
	}
}

// TestIndexFormChanged opens a store with an index of an earlier form: it is
// dropped, and the index is made anew.
func TestIndexFormChanged(t *testing.T) {
	home := t.TempDir()
	r := startIn(t, home, `{}`)
	ids := []string{
		publish(t, r.socket(t), fmt.Sprintf(`{"type":"test","to":"%s"}`, alike(1))),
		publish(t, r.socket(t), fmt.Sprintf(`{"type":"test","to":"%s"}`, alike(1))),
	}
	r.stop()
	withStore(t, home, func(s *store.Store) error {
		old := s.Table("node.backlinks")
		return errors.Join(old.Put([]byte("an earlier form"), nil), s.SetCursor("node.backlinks", 2), s.Table("node.links.2").Clear(), s.SetCursor("node.links.2", 0))
	})
	r = startIn(t, home, `{}`)
	if got := collect(t, r.socket(t), -1, "links", `{"dest":"`+alike(1)+`","meta":false}`); !slices.Equal(got, quoted(ids)) {
		t.Errorf("got %q, want %q", got, ids)
	}
	r.stop()
	if !strings.Contains(r.log.String(), "an index has a new form") {
		t.Error("nothing is said of it")
	}
	withStore(t, home, func(s *store.Store) error {
		rows, err := s.Table("node.backlinks").Scan(nil, nil, 0)
		if len(rows) > 0 {
			t.Errorf("%d rows of the earlier form are left", len(rows))
		}
		_, checked := s.Check(context.Background(), store.CheckOptions{})
		return errors.Join(err, checked)
	})
}

// withStore opens the store of a home that no node has.
func withStore(t *testing.T, home string, do func(*store.Store) error) {
	t.Helper()
	s, err := store.Open(filepath.Join(home, "ssbsync", "store.db"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(do(s), s.Close()); err != nil {
		t.Fatal(err)
	}
}

// TestEarlierFormsWithoutServer: a node without a server drops them as well.
func TestEarlierFormsWithoutServer(t *testing.T) {
	home := t.TempDir()
	if err := os.Mkdir(filepath.Join(home, "ssbsync"), 0o700); err != nil {
		t.Fatal(err)
	}
	withStore(t, home, func(s *store.Store) error { return s.Table("node.links").Put([]byte("x"), nil) })
	n, err := node.Open(node.Options{Home: home})
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	withStore(t, home, func(s *store.Store) error {
		rows, err := s.Table("node.links").Scan(nil, nil, 0)
		if len(rows) > 0 {
			t.Errorf("%d rows are left", len(rows))
		}
		return err
	})
}
