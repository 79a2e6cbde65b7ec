package keys

import (
	"crypto/rand"
	"crypto/sha512"
	"encoding/binary"

	"github.com/oasisprotocol/curve25519-voi/curve"
	"github.com/oasisprotocol/curve25519-voi/curve/scalar"

	"github.com/ssbsync/ssbsync/spec/refs"
)

// This file verifies many signatures by one equation, with exactly the
// acceptance of verifying each alone (but for the error bounded below).
//
// A signature (R, s) of m by A is good when sB = R + hA, h = SHA-512(R‖A‖m),
// without any cofactor, R and A canonical and of large order, s < L. With
// random 128-bit factors z, all of a batch are good if
//
//	Σz·R + Σ(Σz·h)·A − (Σz·s)·B = 0,
//
// where the terms of equal A are merged: that is what makes it fast. Let
// E = R + hA − sB be the error of a signature, so that the left side is Σz·E.
//
// If every R and A lies in the main subgroup, of prime order L, so does every
// E, and when one of them is not 0 the sum is 0 for at most one of the 2^128
// choices of its z. A factor of small order could hide there: an E of order 2
// vanishes under every even z. So points outside of the main subgroup are
// looked for. Of those, let T be the part of small order of a point. The sum
// over a random subset of the points lies in the main subgroup only if the sum
// of their T is 0; if one T is not 0, then of any two subsets that differ in
// that point alone at most one has the sum 0. So one random subset overlooks
// it with a probability of at most 1/2, and 32 subsets, chosen independently
// by the receiver after he has the batch, with at most 2^-32.
//
// A batch with a bad signature therefore passes with a probability of at most
// 2^-32 + 2^-128, and then only if its author prepared R or A for it: what
// would be accepted still satisfies the equation with cofactor, so nobody can
// forge a signature that way; he can only make one of his own that others
// refuse. A batch of good signatures whose R and A are all in the main
// subgroup, which is what every honest signer makes, always passes. Any other
// outcome is no verdict: the signatures are then verified one by one.

const (
	// minEquation is the number of signatures from which on an equation pays
	// whoever their authors are. Its fixed cost, the 32 tests of a subset sum,
	// is that of some 45 single verifications.
	minEquation = 96

	// maxEquation bounds the memory of an equation to 1.1 MiB, and what its sum
	// takes beside it to 1.9 MiB. More signatures would hardly cost less each.
	maxEquation = 2048

	subsets = 32 // random subsets of points that are tested for torsion
)

// equation is memory for one equation, to be used again and again.
type equation struct {
	random  [(16 + subsets/8) * maxEquation]byte
	index   map[refs.Feed]int                     // of authors in points
	points  [1 + 2*maxEquation]curve.EdwardsPoint // B, then R and A as they come
	scalars [1 + 2*maxEquation]scalar.Scalar
	used    int

	pointers       [1 + 2*maxEquation]*curve.EdwardsPoint
	scalarPointers [1 + 2*maxEquation]*scalar.Scalar
	buckets        [256]curve.EdwardsPoint
}

func newEquation() *equation {
	e := &equation{index: make(map[refs.Feed]int, maxEquation)}
	for i := range e.points {
		e.pointers[i], e.scalarPointers[i] = &e.points[i], &e.scalars[i]
	}
	e.points[0].Set(curve.ED25519_BASEPOINT_POINT)
	return e
}

// holds reports whether all the signatures, at most maxEquation, are good.
// False says nothing about any of them.
func (e *equation) holds(items []Signed) bool {
	e.used = 1
	e.scalars[0].Zero()
	clear(e.index)
	random := e.random[:16*len(items)]
	rand.Read(random) // never fails
	for i := range items {
		if !e.add(&items[i], random[16*i:][:16]) {
			return false
		}
	}
	var sum curve.EdwardsPoint
	sum.MultiscalarMulVartime(e.scalarPointers[:e.used], e.pointers[:e.used])
	return sum.IsIdentity() && e.torsionFree()
}

// add adds the terms of one signature. It reports false when the signature is
// bad already by its form.
func (e *equation) add(item *Signed, random []byte) bool {
	author, ok := e.author(&item.Feed)
	if !ok || smallOrderR(&item.Sig) {
		return false
	}
	var s, z, h scalar.Scalar
	if _, err := s.SetCanonicalBytes(item.Sig[32:]); err != nil {
		return false
	}
	var wide [32]byte
	copy(wide[:], random)
	if _, err := z.SetCanonicalBytes(wide[:]); err != nil {
		return false // never: it is less than 2^128
	}
	if !e.addPoint((*curve.CompressedEdwardsY)(item.Sig[:32]), &z) {
		return false
	}
	challenge(&h, item)
	h.Mul(&h, &z)
	e.scalars[author].Add(&e.scalars[author], &h)
	s.Mul(&s, &z)
	e.scalars[0].Sub(&e.scalars[0], &s)
	return true
}

// author returns the place of the term of a feed's key, which is new when the
// key is. It reports false for keys that sign nothing.
func (e *equation) author(feed *refs.Feed) (int, bool) {
	if i, ok := e.index[*feed]; ok {
		return i, true
	}
	i := e.used
	ok := e.addPoint((*curve.CompressedEdwardsY)(feed), scalar.New()) && !e.points[i].IsSmallOrder()
	e.index[*feed] = i
	return i, ok
}

// addPoint adds the term of a point in its canonical encoding.
func (e *equation) addPoint(encoded *curve.CompressedEdwardsY, factor *scalar.Scalar) bool {
	if !encoded.IsCanonicalVartime() {
		return false
	}
	if _, err := e.points[e.used].SetCompressedY(encoded); err != nil {
		return false
	}
	e.scalars[e.used].Set(factor)
	e.used++
	return true
}

// challenge sets h to SHA-512(R‖A‖m) modulo L.
func challenge(h *scalar.Scalar, item *Signed) {
	var sum [sha512.Size]byte
	hash := sha512.New()
	hash.Write(item.Sig[:32])
	hash.Write(item.Feed[:])
	hash.Write(item.Msg)
	if _, err := h.SetBytesModOrderWide(hash.Sum(sum[:0])); err != nil {
		panic(err) // only for another length than 64
	}
}

// torsionFree reports whether random subsets of the points sum up to points
// of the main subgroup.
func (e *equation) torsionFree() bool {
	points := e.points[1:e.used]
	masks := e.random[:4*len(points)]
	rand.Read(masks)
	width := 4 // bits of the masks that are looked at together
	if len(points) > 448 {
		width = 8
	}
	for shift := 0; shift < subsets; shift += width {
		buckets := e.buckets[:1<<width]
		for i := range buckets {
			buckets[i].Identity()
		}
		for i := range points {
			mask := binary.LittleEndian.Uint32(masks[4*i:])
			if n := mask >> shift & (1<<width - 1); n != 0 { // nobody asks for the sum of bucket 0
				buckets[n].Add(&buckets[n], &points[i])
			}
		}
		if !subsetSumsTorsionFree(buckets) {
			return false
		}
	}
	return true
}

// subsetSumsTorsionFree tests, for every bit of the numbers of the buckets,
// the sum of the buckets whose number has this bit set. It spoils them.
func subsetSumsTorsionFree(buckets []curve.EdwardsPoint) bool {
	for half := len(buckets) / 2; half > 0; half /= 2 {
		var sum curve.EdwardsPoint
		sum.Identity()
		for i := range half {
			sum.Add(&sum, &buckets[half+i])
			buckets[i].Add(&buckets[i], &buckets[half+i]) // the other bits remain
		}
		if !sum.IsTorsionFree() {
			return false
		}
	}
	return true
}
