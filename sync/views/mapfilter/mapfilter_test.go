package mapfilter_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ssbsync/ssbsync/spec/ecmajson"
	"github.com/ssbsync/ssbsync/sync/views/mapfilter"
)

// cases are queries and what npm map-filter-reduce 3.2.2 answered.
type cases struct {
	Items []json.RawMessage
	Cases []struct {
		Query json.RawMessage
		Want  []json.RawMessage
		Error string
	}
}

func readCases(t testing.TB) (c cases) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "cases.json"))
	if err == nil {
		err = json.Unmarshal(text, &c)
	}
	if err != nil || len(c.Cases) < 80 {
		t.Fatalf("%d cases, %v", len(c.Cases), err)
	}
	return c
}

// run answers a query in compact JSON, an item a line.
func run(query []byte, items []json.RawMessage) (string, error) {
	q, err := mapfilter.Parse(query)
	if err != nil {
		return "", err
	}
	var out bytes.Buffer
	r := q.Start(func(v mapfilter.Value) error {
		fmt.Fprintf(&out, "%s\n", v)
		return nil
	})
	for _, item := range items {
		text, err := ecmajson.Compact(item)
		if err == nil {
			err = r.Item(text)
		}
		if err != nil {
			return "", err
		}
	}
	err = r.End()
	return out.String(), err
}

// TestCases compares with what others answer.
func TestCases(t *testing.T) {
	c := readCases(t)
	for _, one := range c.Cases {
		got, err := run(one.Query, c.Items)
		if strings.HasPrefix(one.Error, "Cannot read properties of undefined (reading '0')") {
			one.Error = "" // no reason to end a stream: what has no elements has none
			one.Want = []json.RawMessage{json.RawMessage("1")}
		}
		if (err != nil) != (one.Error != "") {
			t.Errorf("%s: %v, want %q", one.Query, err, one.Error)
			continue
		}
		var want strings.Builder
		for _, item := range one.Want {
			text, err := ecmajson.Compact(item)
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(&want, "%s\n", text)
		}
		if got != want.String() {
			t.Errorf("%s:\ngot\n%swant\n%s", one.Query, got, want.String())
		}
	}
	t.Logf("%d cases", len(c.Cases))
}

// TestHostile has queries that ask for too much.
func TestHostile(t *testing.T) {
	deep := func(n int) string {
		return `[{"$filter":` + strings.Repeat(`{"a":`, n) + "1" + strings.Repeat("}", n) + `}]`
	}
	for name, query := range map[string]string{
		"deep": deep(40), "very deep": deep(100_000), "brackets": strings.Repeat("[", 60_000), "long": `[{"$filter":"` + strings.Repeat("x", 70_000) + `"}]`,
		"no JSON": `[{$filter:1}]`, "no list": `{"$filter":{}}`, "nothing": ``, "text": `"x"`, "sort": `[{"$sort":"timestamp"}]`, "sort of nothing": `[{"$sort":[null]}]`,
		"prefix": `[{"$filter":{"a":{"$prefix":1}}}]`, "grouped": `[{"$reduce":"type"}]`, "half": `[{"$filter":{"a`,
	} {
		if _, err := mapfilter.Parse([]byte(query)); err == nil || len(err.Error()) > 400 {
			t.Errorf("%s: %v", name, err)
		}
	}
	doubles := strings.Repeat(`,{"$map":{"a":[true],"b":[true]}}`, 40)[1:]
	for _, query := range []string{"[" + doubles + "]", `[{"$map":[` + doubles + `]}]`} {
		got, err := run([]byte(query), []json.RawMessage{json.RawMessage(`{"n":1}`)})
		if err != nil || len(got) > 4<<20 {
			t.Errorf("doubled 40 times: %d bytes, %v", len(got), err)
		}
	}
	for _, query := range []string{`[{"$reduce":{"$collect":true}}]`, `[{"$reduce":{"all":{"$collect":true}}}]`, `[{"$sort":[["n"]]}]`, `[{"$reduce":{"n":"n","x":{"$count":true}}}]`} {
		q, err := mapfilter.Parse([]byte(query))
		if err != nil {
			t.Fatal(err)
		}
		r := q.Start(func(mapfilter.Value) error { return nil })
		text := strings.Repeat("x", 8000)
		i := 0
		for ; err == nil && i < 100_000; i++ {
			err = r.Item(fmt.Appendf(nil, `{"n":"%d%s"}`, i, text))
		}
		if !errors.Is(err, mapfilter.ErrTooMuch) || i > 5000 {
			t.Errorf("%s: after %d items %v", query, i, err)
		}
	}
}

// TestStopped hands on the error of who has had enough.
func TestStopped(t *testing.T) {
	c := readCases(t)
	enough := errors.New("enough")
	for _, query := range []string{`[]`, `[{"$sort":[["key"]]}]`, `[{"$reduce":{"k":"key","n":{"$count":true}}}]`, `[{"$map":"key"}]`} {
		q, err := mapfilter.Parse([]byte(query))
		if err != nil {
			t.Fatal(err)
		}
		left := 2
		r := q.Start(func(mapfilter.Value) error {
			if left--; left < 0 {
				return enough
			}
			return nil
		})
		for _, item := range c.Items {
			if err == nil {
				err = r.Item(mapfilter.Value(item))
			}
		}
		if err == nil {
			err = r.End()
		}
		if !errors.Is(err, enough) {
			t.Errorf("%s: %v", query, err)
		}
	}
}

// FuzzQuery lets any query run over items of any form: nothing may panic, and
// what comes out is JSON.
func FuzzQuery(f *testing.F) {
	c := readCases(f)
	seeds := 0
	for _, one := range c.Cases {
		f.Add([]byte(one.Query), []byte(c.Items[seeds%len(c.Items)]))
		seeds++
	}
	if seeds < 80 {
		f.Fatalf("only %d seeds", seeds)
	}
	f.Fuzz(func(t *testing.T, query, item []byte) {
		item, err := ecmajson.Compact(item)
		if err != nil || len(item) > 10_000 {
			return
		}
		q, err := mapfilter.Parse(query)
		if err != nil {
			return
		}
		r := q.Start(func(v mapfilter.Value) error {
			if !json.Valid(v) {
				t.Fatalf("%s of %s makes %q", query, item, v)
			}
			return nil
		})
		for range 2 {
			if err := r.Item(item); err != nil {
				return
			}
		}
		_ = r.End() // what is wrong with it is not of interest
	})
}
