package store_test

import (
	"fmt"
	"testing"

	"github.com/ssbsync/ssbsync/store"
)

func TestScanBack(t *testing.T) {
	s, err := store.Open(t.TempDir()+"/store.db", store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	table := s.Table("test")
	if rows, err := table.ScanBack(nil, nil, 0); err != nil || len(rows) != 0 {
		t.Fatalf("a table without rows: %v, %v", rows, err)
	}
	const n = 2500
	err = table.Update(func(tx *store.TableTx) error {
		for i := range n {
			if err := tx.Put(fmt.Appendf(nil, "%04d", i), []byte{byte(i)}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	cases := 0
	for _, low := range []int{0, 1, 999, 2499, 2600} {
		for _, high := range []int{-1, 0, 1, 1000, 2499, 2500, 2600} {
			cases++
			var bound []byte
			last := n - 1
			if high >= 0 {
				bound, last = fmt.Appendf(nil, "%04d", high), min(high, n)-1
			}
			for want := last; ; {
				rows, err := table.ScanBack(fmt.Appendf(nil, "%04d", low), bound, 700)
				if err != nil {
					t.Fatal(err)
				}
				for _, row := range rows {
					if string(row.Key) != fmt.Sprintf("%04d", want) || row.Value[0] != byte(want) {
						t.Fatalf("from %d to %d: key %s, want %d", low, high, row.Key, want)
					}
					want--
				}
				if len(rows) < 700 {
					if want >= low {
						t.Fatalf("from %d to %d: ended before %d", low, high, want)
					}
					break
				}
				bound = rows[len(rows)-1].Key
			}
		}
	}
	t.Logf("%d ranges", cases)
}
