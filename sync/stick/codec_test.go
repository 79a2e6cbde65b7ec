package stick_test

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/sync/stick"
)

// sample is a have with something in every field.
func sample() *stick.Have {
	h := &stick.Have{
		Network: network, Stick: stick.ID{1}, Identity: feed(1), Store: stick.ID{2},
		Counter: 300, Visit: 7, Base: 299, BaseSum: [32]byte{3},
		Moved:    []stick.Move{{Index: 0, Gain: 1}, {Index: 1, Wanted: true}, {Index: 300, Gain: 1 << 40, Wanted: true}},
		Reads:    stick.OurFormats(),
		Replaces: []stick.ID{{4}, {5}},
		Feeds:    []refs.Feed{{6}, {7}},
		Blobs:    []refs.Blob{{8}},
		Damaged: []stick.Damage{
			{Bundle: strings.Repeat("a", 26)},
			{Bundle: strings.Repeat("b", 26), Frames: []int{0, 3, 200}},
		},
	}
	for i := range byte(5) {
		h.Holdings = append(h.Holdings, stick.Holding{
			Feed: refs.Feed{i + 1}, Seq: 1 << (6 * i), Prefix: [8]byte{i}, Wanted: i%2 == 1})
	}
	return h
}

func TestHaveRoundTrip(t *testing.T) {
	for _, h := range []*stick.Have{sample(), {Network: network, Identity: feed(1), Counter: 1, Visit: 1, WantAll: true}} {
		b := stick.EncodeHave(h, pair(1))
		got, err := stick.ParseHave(b)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, h) {
			t.Errorf("got %+v, want %+v", got, h)
		}
		t.Logf("%d bytes", len(b))
	}
}

func TestHaveTampered(t *testing.T) {
	b := stick.EncodeHave(sample(), pair(1))
	for i := range b {
		bad := bytes.Clone(b)
		bad[i] ^= 1
		if _, err := stick.ParseHave(bad); err == nil {
			t.Fatalf("byte %d may be changed", i)
		}
	}
	for i := range b {
		if _, err := stick.ParseHave(b[:i]); err == nil {
			t.Fatalf("cut to %d bytes it is read", i)
		}
	}
	if _, err := stick.ParseHave(append(bytes.Clone(b), 0)); err == nil {
		t.Error("a byte more is read")
	}
	t.Logf("%d bytes changed, %d lengths", len(b), len(b))
}

// TestHaveRefused signs haves that break the rules.
func TestHaveRefused(t *testing.T) {
	many := make([]string, 17)
	for i := range many {
		many[i] = fmt.Sprintf("f%02d", i)
	}
	for name, spoil := range map[string]func(*stick.Have){
		"other signer":       func(h *stick.Have) { h.Identity = feed(2) },
		"counter 0":          func(h *stick.Have) { h.Counter, h.Base = 0, 0 },
		"moves in disorder":  func(h *stick.Have) { h.Moved[1].Index = 0 },
		"move too far":       func(h *stick.Have) { h.Moved[2].Index = 1 << 19 },
		"visit 0":            func(h *stick.Have) { h.Visit = 0 },
		"base of the future": func(h *stick.Have) { h.Base = h.Counter },
		"number too large":   func(h *stick.Have) { h.Visit = 1 << 53 },
		"sequence 0":         func(h *stick.Have) { h.Holdings[2].Seq = 0 },
		"twice a feed":       func(h *stick.Have) { h.Holdings[2].Feed = h.Holdings[1].Feed },
		"feeds in disorder":  func(h *stick.Have) { h.Feeds[0], h.Feeds[1] = h.Feeds[1], h.Feeds[0] },
		"stores in disorder": func(h *stick.Have) { h.Replaces[1] = h.Replaces[0] },
		"too many formats":   func(h *stick.Have) { h.Reads = many },
		"format name":        func(h *stick.Have) { h.Reads = []string{"../x"} },
		"long format name":   func(h *stick.Have) { h.Reads = []string{strings.Repeat("x", 17)} },
		"bundle name":        func(h *stick.Have) { h.Damaged[0].Bundle = strings.Repeat("A", 26) },
		"frames in disorder": func(h *stick.Have) { h.Damaged[1].Frames = []int{3, 3} },
		"frame number":       func(h *stick.Have) { h.Damaged[1].Frames = []int{1 << 20} },
	} {
		h := sample()
		spoil(h)
		if _, err := stick.ParseHave(stick.EncodeHave(h, pair(1))); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestVisitNumbers(t *testing.T) {
	haves := func(by byte, visits []uint64) (list []*stick.Have) {
		for _, v := range visits {
			list = append(list, &stick.Have{Identity: refs.Feed{by}, Visit: v})
		}
		return list
	}
	for _, c := range []struct {
		visits, strangers []uint64
		own               uint64
		want              uint64
	}{
		{nil, nil, 0, 0},
		{nil, nil, 7, 7},
		{[]uint64{3, 1, 2}, nil, 0, 3},
		{[]uint64{5000, 4990}, nil, 0, 5000},
		{[]uint64{1 << 52, 10}, nil, 9, 11},
		{[]uint64{1 << 52, 1 << 51, 10}, nil, 9, 12},
		{[]uint64{1010}, nil, 10, 1010},
		{[]uint64{1011}, nil, 10, 11},
		{[]uint64{1 << 52}, nil, 0, 1},
		{nil, []uint64{1<<53 - 1}, 0, 1},
		{nil, []uint64{1<<53 - 1, 5000}, 0, 5001},
		{nil, []uint64{1<<53 - 1}, 12, 12},
		{[]uint64{5000}, []uint64{3, 5500, 1 << 40}, 0, 5000},
		{[]uint64{5000}, []uint64{3}, 0, 5000},
	} {
		var own *stick.Have
		if c.own > 0 {
			own = &stick.Have{Visit: c.own}
		}
		if got := stick.NewestVisit(append(haves(1, c.strangers), haves(2, c.visits)...), own); got != c.want {
			t.Errorf("visits %v, %v and %d: newest %d, want %d", c.visits, c.strangers, c.own, got, c.want)
		}
	}
}

func TestNames(t *testing.T) {
	name := strings.Repeat("a", 24) + "7z"
	id := strings.Repeat("0f", 16)
	for file, want := range map[string][3]bool{
		name + ".ssb.zst":                  {true, false, false},
		"b" + name[1:] + ".ssb.zst":        {},
		strings.ToUpper(name) + ".ssb.zst": {},
		name + ".SSB.ZST":                  {},
		name + ".ssb.zst.part":             {},
		name[:25] + "1.ssb.zst":            {},
		"../" + name[3:] + ".ssb.zst":      {},
		id + "-1.have":                     {false, true, false},
		id + "-9007199254740991.have":      {false, true, false},
		id + "-9007199254740992.have":      {},
		id + "-0.have":                     {},
		id + "-01.have":                    {},
		id + "-+1.have":                    {},
		id + "-.have":                      {},
		id[1:] + "-1.have":                 {},
		strings.ToUpper(id) + "-1.have":    {},
		id + "-0123456789abcdef.part":      {false, false, true},
		id + "-0123456789abcdeF.part":      {},
		id + "-0123456789abcde.part":       {},
	} {
		b, h, p := stick.ParseNames("aa", file)
		if got := [3]bool{b, h, p}; got != want {
			t.Errorf("%s: %v, want %v", file, got, want)
		}
	}
}

func FuzzHave(f *testing.F) {
	f.Add(stick.EncodeHave(sample(), pair(1)))
	f.Add(stick.EncodeHave(&stick.Have{Identity: feed(1), Counter: 1, Visit: 1}, pair(1)))
	f.Fuzz(func(t *testing.T, b []byte) {
		// The signature keeps the fuzzer out, so what it makes is signed.
		if len(b) > 160 {
			id := feed(1)
			b = bytes.Clone(b)
			copy(b[64:], id[:])
			sig := pair(1).Sign(b[:len(b)-64])
			copy(b[len(b)-64:], sig[:])
		}
		h, err := stick.ParseHave(b)
		if err != nil {
			return
		}
		if again := stick.EncodeHave(h, pair(1)); !bytes.Equal(again, b) {
			t.Errorf("%x\nis written as\n%x", b, again)
		}
	})
}

func FuzzMarker(f *testing.F) {
	f.Add([]byte(`{"format":"ssbsync stick v1","stick":"0102030405060708090a0b0c0d0e0f10","mode":"open"}` + "\n"))
	f.Add([]byte(`{"format":"ssbsync stick v1","stick":"0102030405060708090a0b0c0d0e0f10","mode":"open","label":"Büro <1>"}` + "\n"))
	for _, seed := range []string{`{}`, `null`, `{"format":"ssbsync stick v1"}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		again, err := stick.ReformatMarker(b)
		if err == nil && !bytes.Equal(again, b) {
			t.Errorf("%q is written as %q", b, again)
		}
	})
}

func TestMarkerSeeds(t *testing.T) {
	good := `{"format":"ssbsync stick v1","stick":"0102030405060708090a0b0c0d0e0f10","mode":"open","label":"Büro <1>"}` + "\n"
	if _, err := stick.ReformatMarker([]byte(good)); err != nil {
		t.Error(err)
	}
	for _, bad := range []string{
		good[:len(good)-1], good + "\n", " " + good,
		strings.Replace(good, "open", "closed", 1),
		strings.Replace(good, "01", "0A", 1),
		strings.Replace(good, "Büro", "B\\u00fcro", 1),
		strings.Replace(good, "Büro", "a\\nb", 1),
		strings.Replace(good, "Büro", strings.Repeat("x", 65), 1),
		strings.Replace(good, "0102030405060708090a0b0c0d0e0f10", strings.Repeat("0", 32), 1),
		strings.Replace(good, `,"label"`, `,"extra"`, 1),
		strings.Replace(good, `"format"`, `"Format"`, 1),
	} {
		if _, err := stick.ReformatMarker([]byte(bad)); err == nil {
			t.Errorf("accepted %q", bad)
		}
	}
}
