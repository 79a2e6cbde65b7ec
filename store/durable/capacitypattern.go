package durable

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
)

// sectorLen is the unit of the pattern and of what is counted, in bytes.
const sectorLen = 4096

// pattern fills data, whole sectors, with what belongs at a position. Each
// sector begins with its position, so that one which comes back somewhere else
// is known; the rest comes from ChaCha8 under the key of this run and the
// position, so that neither a controller that compresses nor what an earlier
// run left behind can pass for it.
func (p *probe) pattern(data []byte, pos int64) {
	for ; len(data) > 0; data, pos = data[sectorLen:], pos+sectorLen {
		seed := p.key
		binary.BigEndian.PutUint64(seed[:], binary.BigEndian.Uint64(seed[:])^uint64(pos))
		rand.NewChaCha8(seed).Read(data[:sectorLen])
		binary.BigEndian.PutUint64(data, uint64(pos))
	}
}

// isZero reports whether a sector was never written, or thrown away.
func isZero(sector []byte) bool { return [sectorLen]byte(sector) == [sectorLen]byte{} }

// claimedPosition returns the position that a sector says it belongs at.
func claimedPosition(sector []byte) int64 { return int64(binary.BigEndian.Uint64(sector)) }

// holds reports whether a sector is what belongs at a position.
func (p *probe) holds(sector []byte, pos int64) bool {
	if claimedPosition(sector) != pos {
		return false
	}
	p.pattern(p.want[:], pos)
	return bytes.Equal(sector, p.want[:])
}
