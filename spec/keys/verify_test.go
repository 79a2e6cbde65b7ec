package keys_test

import (
	stded25519 "crypto/ed25519"
	"crypto/sha512"
	"encoding/json"
	"math/big"
	"slices"
	"sync"
	"testing"

	"github.com/oasisprotocol/curve25519-voi/curve"
	"github.com/oasisprotocol/curve25519-voi/curve/scalar"
	"github.com/oasisprotocol/curve25519-voi/primitives/ed25519"

	"github.com/ssbsync/ssbsync/spec/internal/vectors"
	"github.com/ssbsync/ssbsync/spec/keys"
	"github.com/ssbsync/ssbsync/spec/refs"
)

// together is one Verifier for all tests: its memory is made once.
var together = sync.OnceValue(keys.NewVerifier)

// verifyAll returns the verdict on one signature of every way to verify, and
// fails the test where they differ: alone, by an empty Verifier, by one that
// met the key before, and by curve25519-voi with nothing left out.
func verifyAll(t testing.TB, item keys.Signed) bool {
	t.Helper()
	verdict := keys.Verify(item.Feed, item.Msg, &item.Sig)
	ok := make([]bool, 4)
	keys.NewVerifier().VerifyBatch([]keys.Signed{item, item, item, item}, ok)
	full := &ed25519.Options{Verify: &ed25519.VerifyOptions{CofactorlessVerify: true}}
	ok = append(ok, ed25519.VerifyWithOptions(item.Feed[:], item.Msg, item.Sig[:], full))
	var none *keys.Verifier
	none.VerifyBatch([]keys.Signed{item}, ok[:1])
	if !verdict && together().Together(slices.Repeat([]keys.Signed{item}, 8)) {
		t.Errorf("feed %x, signature %x: eight times the same bad one passes", item.Feed, item.Sig)
	}
	if slices.Contains(ok, !verdict) {
		t.Errorf("feed %x, signature %x: verdicts %v, %v", item.Feed, item.Sig, verdict, ok)
	}
	return verdict
}

// TestSpeccheckVectors runs the edge cases on which implementations differ.
// Their licence keeps them out of the repository; TestEdgeCases makes such
// signatures itself.
func TestSpeccheckVectors(t *testing.T) {
	paths := vectors.OptionalFiles(t, "crypto", "ed25519-speccheck.jsonl")
	accepted := 0
	vectors.Lines(t, paths, func(line []byte) {
		var c struct {
			ID, Desc, Message, Signature string
			Key                          string `json:"pub_key"`
			Libsodium                    bool
		}
		if err := json.Unmarshal(line, &c); err != nil {
			t.Fatal(err)
		}
		item := keys.Signed{Feed: refs.Feed(unhex(t, c.Key)), Msg: unhex(t, c.Message), Sig: [64]byte(unhex(t, c.Signature))}
		got := verifyAll(t, item)
		if got != c.Libsodium {
			t.Errorf("%s (%s): %v, libsodium %v", c.ID, c.Desc, got, c.Libsodium)
		}
		if got {
			accepted++
		}
	})
	t.Logf("%d files, %d signatures accepted", len(paths), accepted)
}

// forger signs with a key that has a torsion component, or none but that.
type forger struct {
	a    *scalar.Scalar // 0: the key is a point of small order
	feed refs.Feed      // aB + torsion
}

// torsion returns the eight points of small order.
func torsion(t *testing.T) []*curve.EdwardsPoint {
	var generator curve.EdwardsPoint
	var encoded curve.CompressedEdwardsY
	if _, err := encoded.SetBytes(unhex(t, "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a")); err != nil {
		t.Fatal(err)
	}
	if _, err := generator.SetCompressedY(&encoded); err != nil {
		t.Fatal(err)
	}
	points := []*curve.EdwardsPoint{curve.NewEdwardsPoint()}
	for len(points) < 8 {
		points = append(points, curve.NewEdwardsPoint().Add(points[len(points)-1], &generator))
	}
	return points
}

// encode returns the encoding of aB + point.
func encode(a *scalar.Scalar, point *curve.EdwardsPoint) [32]byte {
	p := curve.NewEdwardsPoint().MulBasepoint(curve.ED25519_BASEPOINT_TABLE, a)
	p.Add(p, point)
	var out curve.CompressedEdwardsY
	out.SetEdwardsPoint(p)
	return out
}

// sign makes the signature (rB + point, r + h·a), which satisfies the
// cofactored equation always and the cofactorless one sometimes.
func (f forger) sign(t *testing.T, msg []byte, r *scalar.Scalar, point *curve.EdwardsPoint) (sig [64]byte) {
	R := encode(r, point)
	sum := sha512.Sum512(slices.Concat(R[:], f.feed[:], msg))
	h, err := scalar.New().SetBytesModOrderWide(sum[:])
	if err != nil {
		t.Fatal(err)
	}
	s := scalar.New().Mul(h, f.a)
	s.Add(s, r)
	copy(sig[:], R[:])
	if err := s.ToBytes(sig[32:]); err != nil {
		t.Fatal(err)
	}
	return sig
}

// TestEdgeCases signs with all combinations of torsion in A and in R, with
// and without a part of large order in each, for several messages. Accepted
// may be only what has A and R of large order and satisfies the equation
// without cofactor.
func TestEdgeCases(t *testing.T) {
	points := torsion(t)
	zero, a, r := scalar.New(), scalar.New().SetUint64(1234567), scalar.New().SetUint64(7654321)
	cases, accepted, stdOnly := 0, 0, 0
	for _, secret := range []*scalar.Scalar{zero, a} {
		for _, nonce := range []*scalar.Scalar{zero, r} {
			for i, torsionA := range points {
				f := forger{a: secret, feed: refs.Feed(encode(secret, torsionA))}
				for j, torsionR := range points {
					for m := range byte(3) {
						msg := []byte{m}
						sig := f.sign(t, msg, nonce, torsionR)
						got := verifyAll(t, keys.Signed{Feed: f.feed, Msg: msg, Sig: sig})
						std := stded25519.Verify(f.feed[:], msg, sig[:])
						large := secret != zero && nonce != zero
						if got != (std && large) {
							t.Errorf("a %v, r %v, torsion %d and %d, message %d: %v, std %v", secret != zero, nonce != zero, i, j, m, got, std)
						}
						cases++
						if got {
							accepted++
						}
						if std && !got {
							stdOnly++
						}
					}
				}
			}
		}
	}
	if accepted == 0 || stdOnly == 0 {
		t.Error("the cases do not tell the implementations apart")
	}
	t.Logf("%d signatures, %d accepted, %d accepted by crypto/ed25519 only", cases, accepted, stdOnly)
}

// TestNonCanonical adds the order to S and the prime to y: other spellings of
// a valid signature.
func TestNonCanonical(t *testing.T) {
	pair := keys.FromSeed([32]byte{5})
	msg := []byte("one spelling")
	sig := pair.Sign(msg)
	if !verifyAll(t, keys.Signed{Feed: pair.Feed(), Msg: msg, Sig: sig}) {
		t.Fatal("a good signature does not verify")
	}
	order, _ := new(big.Int).SetString("27742317777372353535851937790883648493", 10)
	order.Add(order, new(big.Int).Lsh(big.NewInt(1), 252))
	s := new(big.Int).SetBytes(reversed(sig[32:]))
	for k := int64(1); k < 16; k++ {
		larger := new(big.Int).Add(s, new(big.Int).Mul(big.NewInt(k), order))
		if larger.BitLen() > 256 {
			break
		}
		bad := sig
		copy(bad[32:], reversed(larger.FillBytes(make([]byte, 32))))
		if verifyAll(t, keys.Signed{Feed: pair.Feed(), Msg: msg, Sig: bad}) {
			t.Errorf("S + %d·L is accepted", k)
		}
	}
	// Every encoding with y from p to 2^255-1, as A and as R.
	for y := range byte(19) {
		for _, sign := range []byte{0, 0x80} {
			encoding := [32]byte(slices.Repeat([]byte{0xff}, 32))
			encoding[0], encoding[31] = 0xed+y, 0x7f|sign
			bad := sig
			copy(bad[:32], encoding[:])
			if verifyAll(t, keys.Signed{Feed: pair.Feed(), Msg: msg, Sig: bad}) || verifyAll(t, keys.Signed{Feed: encoding, Msg: msg, Sig: sig}) {
				t.Errorf("p + %d, sign %#x is accepted", y, sign)
			}
		}
	}
}

func reversed(b []byte) []byte {
	b = slices.Clone(b)
	slices.Reverse(b)
	return b
}

// TestTampered flips every bit of key, message and signature.
func TestTampered(t *testing.T) {
	pair := keys.FromSeed([32]byte{6})
	msg := []byte("every bit counts")
	good := keys.Signed{Feed: pair.Feed(), Msg: msg, Sig: pair.Sign(msg)}
	v := keys.NewVerifier()
	ok := make([]bool, 1)
	for range 3 { // until the key is expanded
		v.VerifyBatch([]keys.Signed{good}, ok)
	}
	cases := 0
	for bit := range 8 * (32 + len(msg) + 64) {
		bad := good
		bad.Msg = slices.Clone(msg)
		switch i := bit / 8; {
		case i < 32:
			bad.Feed[i] ^= 1 << (bit % 8)
		case i < 96:
			bad.Sig[i-32] ^= 1 << (bit % 8)
		default:
			bad.Msg[i-96] ^= 1 << (bit % 8)
		}
		cases++
		if v.VerifyBatch([]keys.Signed{bad}, ok); ok[0] {
			t.Errorf("bit %d flipped: accepted", bit)
		}
	}
	if v.VerifyBatch([]keys.Signed{good}, ok); !ok[0] {
		t.Error("the good signature is not accepted any more")
	}
	t.Logf("%d flipped bits", cases)
}

// FuzzVerify compares all ways to verify with each other, and with
// crypto/ed25519, which accepts no less.
func FuzzVerify(f *testing.F) {
	pair := keys.FromSeed([32]byte{8})
	sig := pair.Sign([]byte("seed"))
	feed := pair.Feed()
	f.Add(feed[:], []byte("seed"), sig[:])
	f.Add(make([]byte, 32), []byte{}, make([]byte, 64))
	f.Fuzz(func(t *testing.T, key, msg, sig []byte) {
		if len(key) != 32 || len(sig) != 64 {
			return
		}
		got := verifyAll(t, keys.Signed{Feed: refs.Feed(key), Msg: msg, Sig: [64]byte(sig)})
		if got && !stded25519.Verify(key, msg, sig) {
			t.Error("crypto/ed25519 does not accept it")
		}
	})
}
