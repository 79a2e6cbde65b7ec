package stick

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
)

var errTruncated = errors.New("truncated")

// maxNumber is the largest number in our formats: 2^53-1.
const maxNumber = 1<<53 - 1

// decoder reads a byte string from front to back and remembers the first
// fault; after one it yields zero values.
type decoder struct {
	rest []byte
	err  error
}

func (d *decoder) fail(err error) {
	if d.err == nil {
		d.err, d.rest = err, nil
	}
}

// take returns the next n bytes, which alias the input.
func (d *decoder) take(n int) []byte {
	if len(d.rest) < n {
		d.fail(errTruncated)
		return nil
	}
	b := d.rest[:n]
	d.rest = d.rest[n:]
	return b
}

func (d *decoder) copy(dst []byte) { copy(dst, d.take(len(dst))) }

// number reads a uvarint in its shortest form.
func (d *decoder) number() uint64 {
	v, n := binary.Uvarint(d.rest)
	switch {
	case n == 0:
		d.fail(errTruncated)
		return 0
	case n < 0, v > maxNumber, n > 1 && d.rest[n-1] == 0:
		d.fail(errors.New("number not in its shortest form or too large"))
		return 0
	}
	d.rest = d.rest[n:]
	return v
}

// atMost reads a number below or equal to limit.
func (d *decoder) atMost(limit uint64) uint64 {
	n := d.number()
	if n > limit {
		d.fail(fmt.Errorf("number %d above %d", n, limit))
		return 0
	}
	return n
}

func (d *decoder) bool() bool {
	b := d.take(1)
	if len(b) == 1 && b[0] > 1 {
		d.fail(errors.New("flag is neither 0 nor 1"))
	}
	return len(b) == 1 && b[0] == 1
}

// decodeList reads a count and entries of at least size bytes each, strictly
// ascending unless compare is nil. The count is checked before anything is allocated for it.
func decodeList[T any](d *decoder, what string, most, size int, entry func(*decoder) T, compare func(a, b T) int) []T {
	n := d.number()
	switch {
	case d.err != nil || n == 0:
		return nil
	case n > uint64(most):
		d.fail(fmt.Errorf("%s list of %d entries, at most %d allowed", what, n, most))
		return nil
	case n > uint64(len(d.rest)/size):
		d.fail(errTruncated)
		return nil
	}
	list := make([]T, 0, n)
	for range n {
		x := entry(d)
		if compare != nil && len(list) > 0 && compare(list[len(list)-1], x) >= 0 {
			d.fail(fmt.Errorf("%s list not in ascending order", what))
		}
		if d.err != nil {
			return nil
		}
		list = append(list, x)
	}
	return list
}

func compareBytes(a, b []byte) int   { return bytes.Compare(a, b) }
func compareStrings(a, b string) int { return cmp.Compare(a, b) }
func compareInts(a, b int) int       { return cmp.Compare(a, b) }

func appendNumber(b []byte, n uint64) []byte { return binary.AppendUvarint(b, n) }
