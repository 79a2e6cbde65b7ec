package store_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/ssbsync/ssbsync/store"
)

func TestTable(t *testing.T) {
	s := temp(t)
	table, other := s.Table("one"), s.Table("two")
	_, err := table.Get([]byte("a"))
	isErr(t, 0, err, store.ErrNotFound)
	if err := errors.Join(table.Delete([]byte("a")), table.Clear()); err != nil {
		t.Errorf("a table that is not there: %v", err)
	}
	for i := range 25 {
		if err := table.Put(fmt.Appendf(nil, "k%02d", i), fmt.Appendf(nil, "v%d", i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := other.Put([]byte("k03"), nil); err != nil {
		t.Fatal(err)
	}
	if v, err := table.Get([]byte("k03")); err != nil || string(v) != "v3" {
		t.Errorf("got %q, %v", v, err)
	}
	if v, err := other.Get([]byte("k03")); err != nil || v == nil || len(v) != 0 {
		t.Errorf("empty value: %v, %v", v, err)
	}
	checkScan(t, table, "k1", "", 0, "k10", 10)
	checkScan(t, table, "k1", "k15", 3, "k15", 3)
	checkScan(t, table, "", "k20", 0, "k20", 5)
	checkScan(t, table, "k1", "k3", 0, "", 0)
	checkScan(t, table, "x", "", 0, "", 0)
	if err := errors.Join(table.Delete([]byte("k03")), other.Clear()); err != nil {
		t.Fatal(err)
	}
	for i, table := range []*store.Table{table, other} {
		_, err := table.Get([]byte("k03"))
		isErr(t, i+1, err, store.ErrNotFound)
	}
	if err := table.Put(nil, nil); err == nil {
		t.Error("took an empty key")
	}
}

// checkScan scans and compares the first key and the number of rows.
func checkScan(t *testing.T, table *store.Table, prefix, from string, limit int, first string, n int) {
	t.Helper()
	rows, err := table.Scan([]byte(prefix), []byte(from), limit)
	if err != nil || len(rows) != n || n > 0 && string(rows[0].Key) != first {
		t.Errorf("prefix %q from %q: %d rows, %v", prefix, from, len(rows), err)
	}
}

func TestTableUpdate(t *testing.T) {
	s := temp(t)
	table := s.Table("one")
	fail := errors.New("fail")
	update := func(err error) error {
		return table.Update(func(tx *store.TableTx) error {
			e1 := tx.Put([]byte("k"), []byte("v"))
			e2 := tx.Table("two").Put([]byte("k"), []byte("w"))
			return errors.Join(e1, e2, tx.SetCursor("c", 7), err)
		})
	}
	isErr(t, 0, update(fail), fail)
	_, err := table.Get([]byte("k"))
	isErr(t, 1, err, store.ErrNotFound)
	if rx, err := s.Cursor("c"); rx != 0 || err != nil {
		t.Errorf("cursor %d, %v", rx, err)
	}
	if err := update(nil); err != nil {
		t.Fatal(err)
	}
	if v, err := s.Table("two").Get([]byte("k")); err != nil || string(v) != "w" {
		t.Errorf("got %q, %v", v, err)
	}
	if rx, err := s.Cursor("c"); rx != 7 || err != nil {
		t.Errorf("cursor %d, %v", rx, err)
	}
	err = table.View(func(tx *store.TableTx) error { return tx.Put([]byte("k"), nil) })
	if err == nil {
		t.Error("wrote in a view")
	}
}

func TestCursor(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	s := open(t, path, store.Options{})
	if err := s.SetCursor("graph", 1<<40); err != nil {
		t.Fatal(err)
	}
	s.Close()
	s = open(t, path, store.Options{})
	if rx, err := s.Cursor("graph"); rx != 1<<40 || err != nil {
		t.Errorf("cursor %d, %v", rx, err)
	}
	if err := s.Table("cursors").Put([]byte("graph"), []byte("short")); err != nil {
		t.Fatal(err)
	}
	_, err := s.Cursor("graph")
	isErr(t, 0, err, store.ErrDamaged)
}
