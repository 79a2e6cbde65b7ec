package keys_test

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/oasisprotocol/curve25519-voi/curve"
	"github.com/oasisprotocol/curve25519-voi/curve/scalar"

	"github.com/ssbsync/ssbsync/spec/keys"
	"github.com/ssbsync/ssbsync/spec/refs"
)

// compare verifies items together and one by one, and fails the test where the
// verdicts differ. It returns how many are good.
func compare(t testing.TB, v *keys.Verifier, items []keys.Signed) (good int) {
	t.Helper()
	ok := make([]bool, len(items))
	v.VerifyBatch(items, ok)
	for i := range items {
		alone := keys.Verify(items[i].Feed, items[i].Msg, &items[i].Sig)
		if ok[i] != alone {
			t.Errorf("signature %d of %d: together %v, alone %v", i, len(items), ok[i], alone)
		}
		if alone {
			good++
		}
	}
	return good
}

// Good signatures pass together, whatever their number and their authors.
func TestTogether(t *testing.T) {
	v := keys.NewVerifier()
	for _, n := range []int{1, 2, keys.MinEquation - 1, keys.MinEquation, 447, 449, 1000} {
		for _, authors := range []int{1, min(n, 7), n} {
			items := signedBy(authors, (n+authors-1)/authors)[:n]
			if !v.Together(items) {
				t.Errorf("%d good signatures of %d authors do not pass", n, authors)
			}
			if n < 500 && compare(t, v, items) != n {
				t.Errorf("%d signatures of %d authors: not all are good", n, authors)
			}
		}
	}
}

// More than one equation holds are split, and only the part with a bad one is
// verified again.
func TestTogetherInParts(t *testing.T) {
	items := signedBy(30, 2*keys.MaxEquation/30+9)
	ok := make([]bool, len(items))
	v := keys.NewVerifier()
	if v.VerifyBatch(items, ok); slices.Contains(ok, false) {
		t.Error("good signatures are refused")
	}
	bad := keys.MaxEquation + 5
	items[bad].Sig[3] ^= 4
	v.VerifyBatch(items, ok)
	for i := range ok {
		if ok[i] != (i != bad) {
			t.Errorf("signature %d: %v", i, ok[i])
		}
	}
}

// ways to spoil a signature, by what it must not get past.
func ways() map[string]func(*keys.Signed) {
	order := []byte{0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 31: 0x10}
	return map[string]func(*keys.Signed){
		"another message":  func(s *keys.Signed) { s.Msg = append(slices.Clone(s.Msg), '!') },
		"a bit of R":       func(s *keys.Signed) { s.Sig[1] ^= 1 },
		"a bit of s":       func(s *keys.Signed) { s.Sig[33] ^= 1 },
		"another author":   func(s *keys.Signed) { s.Feed = keys.FromSeed([32]byte{99}).Feed() },
		"no point":         func(s *keys.Signed) { s.Feed = refs.Feed{2} },
		"an author of 1":   func(s *keys.Signed) { s.Feed = refs.Feed{1} },
		"an author past p": func(s *keys.Signed) { s.Feed = [32]byte(slices.Repeat([]byte{0xff}, 32)) },
		"nothing":          func(s *keys.Signed) { s.Sig = [64]byte{} },
		"s plus L": func(s *keys.Signed) {
			carry := 0
			for i := range 32 {
				carry += int(s.Sig[32+i]) + int(order[i])
				s.Sig[32+i] = byte(carry)
				carry >>= 8
			}
		},
	}
}

// One bad signature at every position of a batch is found.
func TestOneBadAmong(t *testing.T) {
	n := oneBadAmong
	items := signedBy(n/8, 8)
	v := keys.NewVerifier()
	tried := 0
	for name, spoil := range ways() {
		for at := range items {
			if name != "a bit of s" && at%(n/16) != 3 {
				continue
			}
			good := items[at]
			spoil(&items[at])
			if tried++; v.Together(items) {
				t.Errorf("%s at %d of %d: passes", name, at, n)
			}
			items[at] = good
		}
	}
	if !v.Together(items) {
		t.Error("the good ones do not pass any more")
	}
	t.Logf("%d batches of %d with one bad signature", tried, n)
}

// Two signatures whose errors cancel each other in any fixed combination.
func TestErrorsThatCancel(t *testing.T) {
	items := signedBy(1, 2)
	delta := scalar.NewFromUint64(12345)
	for i, sign := range []func(a, b *scalar.Scalar) *scalar.Scalar{scalar.New().Add, scalar.New().Sub} {
		s, err := scalar.NewFromCanonicalBytes(items[i].Sig[32:])
		if err != nil {
			t.Fatal(err)
		}
		if err := sign(s, delta).ToBytes(items[i].Sig[32:]); err != nil {
			t.Fatal(err)
		}
	}
	for range 20 {
		if keys.NewVerifier().Together(items) {
			t.Fatal("two bad signatures whose errors add up to nothing pass")
		}
	}
}

// Signatures that satisfy the equation with cofactor: two with every
// combination of torsion in their R, by authors with every torsion. Together
// they pass only if no point has any; and never if one alone is bad.
func TestTorsionTogether(t *testing.T) {
	points := torsion(t)
	others := signedBy(2, 4)
	a := scalar.NewFromUint64(1234567)
	v := keys.NewVerifier()
	cases, passed, good := 0, 0, 0
	for author, torsionA := range points {
		f := forger{a: a, feed: refs.Feed(encode(a, torsionA))}
		var made []keys.Signed
		for n, torsionR := range points {
			msg := fmt.Appendf(nil, "%d", n)
			made = append(made, keys.Signed{Feed: f.feed, Msg: msg, Sig: f.sign(t, msg, scalar.NewFromUint64(uint64(n)+77), torsionR)})
		}
		for i := range made {
			for j := range made {
				cases++
				items := slices.Concat(others, made[i:i+1], made[j:j+1])
				clean := author == 0 && i == 0 && j == 0
				if got := v.Together(items); got != clean {
					t.Errorf("torsion %d in A, %d and %d in R: together %v", author, i, j, got)
				} else if got {
					passed++
				}
			}
		}
		good += compare(t, v, slices.Concat(slices.Repeat(others, keys.MinEquation/len(others)), made))
	}
	t.Logf("%d combinations, %d passed together; %d signatures are good alone", cases, passed, good)
}

// Two authors whose torsion cancels.
func TestTorsionOfAuthorsCancels(t *testing.T) {
	points := torsion(t)
	zero := curve.NewEdwardsPoint()
	a, r := scalar.NewFromUint64(1234567), scalar.NewFromUint64(89)
	v := keys.NewVerifier()
	for n := 1; n < 8; n++ {
		one := forger{a: a, feed: refs.Feed(encode(a, points[n]))}
		other := forger{a: a, feed: refs.Feed(encode(a, points[8-n]))}
		for m := range byte(30) {
			msg := []byte{m}
			items := []keys.Signed{
				{Feed: one.feed, Msg: msg, Sig: one.sign(t, msg, r, zero)},
				{Feed: other.feed, Msg: msg, Sig: other.sign(t, msg, r, zero)},
			}
			if v.Together(items) {
				t.Errorf("torsion %d and %d in two authors passes", n, 8-n)
			}
		}
	}
}

// FuzzTogether spoils some of a batch, and compares with verifying alone.
func FuzzTogether(f *testing.F) {
	pool := signedBy(4, 32)
	v := keys.NewVerifier()
	f.Add(uint64(1), []byte{})
	f.Add(uint64(2), []byte{3, 0, 1, 90, 70, 128})
	f.Fuzz(func(t *testing.T, seed uint64, changes []byte) {
		items := slices.Clone(pool)
		rnd := rand.New(rand.NewPCG(seed, 0))
		rnd.Shuffle(len(items), func(i, j int) { items[i], items[j] = items[j], items[i] })
		for ; len(changes) >= 3; changes = changes[3:] {
			it := &items[int(changes[0])%len(items)]
			at := int(changes[1]) % (32 + 64 + 8)
			switch {
			case at < 32:
				it.Feed[at] ^= changes[2]
			case at < 96:
				it.Sig[at-32] ^= changes[2]
			default:
				it.Msg = slices.Clone(it.Msg)
				binary.LittleEndian.PutUint64(it.Msg, uint64(changes[2])<<(8*(at-96)))
			}
		}
		compare(t, v, items)
	})
}
