package views

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/ssbsync/ssbsync/store"
)

// BlockSize is how many receive numbers a block stands for.
const BlockSize = 4096

// Hit is a message that has a term.
type Hit struct {
	Rx uint64  // its receive number
	At float64 // its time, of terms that have one: see Term
}

// Postings are the messages of a block that have a term, in the order in which
// they were indexed:
//
//	u16 receive number within the block, big-endian
//	uvarint time, of terms that have one: twice the time in milliseconds if
//	that is a whole number; else 1 and u64 the bits of the number, big-endian

// appendPosting appends a message to the postings of a term.
func appendPosting(dst []byte, rx uint64, timed bool, at float64) []byte {
	dst = binary.BigEndian.AppendUint16(dst, uint16(rx%BlockSize))
	switch {
	case !timed:
		return dst
	case at >= 0 && at < 1<<53 && at == math.Trunc(at):
		return binary.AppendUvarint(dst, uint64(at)<<1)
	}
	return binary.BigEndian.AppendUint64(append(dst, 1), math.Float64bits(at))
}

// eachPosting calls yield with the messages of postings.
func eachPosting(list []byte, block uint64, timed bool, yield func(Hit)) error {
	for len(list) >= 2 {
		h := Hit{Rx: block*BlockSize + uint64(binary.BigEndian.Uint16(list))%BlockSize}
		list = list[2:]
		if timed {
			code, n := binary.Uvarint(list)
			switch {
			case n > 0 && code&1 == 0:
				h.At = float64(code >> 1)
			case n > 0 && len(list) >= n+8:
				h.At = math.Float64frombits(binary.BigEndian.Uint64(list[n:]))
				n += 8
			default:
				return fmt.Errorf("%w: postings", store.ErrDamaged)
			}
			list = list[n:]
		}
		yield(h)
	}
	if len(list) > 0 {
		return fmt.Errorf("%w: postings", store.ErrDamaged)
	}
	return nil
}

// rowKey is the key of the row of a term in a block.
func rowKey(block uint64, term string) []byte {
	return append(binary.BigEndian.AppendUint32(make([]byte, 0, 4+len(term)), uint32(block)), term...)
}
