package store

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"

	"github.com/ssbsync/ssbsync/spec/refs"
)

// The file is a bbolt database of pageSize pages. Numbers in keys and values
// are big-endian. Buckets:
//
//	meta      "format" → u32; "id" → 16 random bytes;
//	          "waiting" → u64 messages, u64 bytes of the waiting messages
//	messages  u64 receive number (from 1, without holes) → record
//	feeds     32 feed id → u32 feed number, u32 head sequence, 32 head id
//	numbers   u32 feed number (from 1, without holes) → 32 feed id
//	sequences u32 feed number, u32 (sequence-1)/64 → up to 64 u48 receive numbers
//	ids       u16 first 12 bits of the id, four zero bits → entries of
//	          bytes 1…6 of the id, u48 receive number; in receive order
//	forks     32 feed id → u32 sequence, 32 id of ours, 32 id of the other,
//	          u64 receive time, u32 CRC-32C of all else, value of the other
//	waiting   32 feed id, u32 sequence, 32 id → u32 CRC-32C of the value, value
//	queues    32 feed id → u64 messages, u64 bytes of the feed's waiting messages
//	tables    name → bucket of a Table
//
// A record is
//
//	u32 CRC-32C of all that follows
//	u64 receive time, milliseconds since 1970, as an IEEE 754 double
//	u32 feed number, u32 sequence, 32 message id
//	value: compact ECMAScript JSON
//
// The CRC is there because bbolt has none: a rotten bit on a cheap card is
// noticed when the message is read, not passed on.
//
// The two indexes pack many entries into one value. Entries of their own would
// cost five times the space (bbolt spends 16 bytes on every key) and, as ids
// are random, every large batch would rewrite the whole index.
const (
	formatVersion = 1
	pageSize      = 8192

	recordHeader = 4 + 8 + 4 + 4 + 32
	chunkLen     = 64 // sequences in one value of the sequences bucket
	rxLen        = 6  // bytes of a receive number in an index
	idPartLen    = 6  // bytes of an id in an index entry
	idEntryLen   = idPartLen + rxLen

	maxRx  = 1<<48 - 1
	maxSeq = math.MaxInt32
)

var (
	bucketMeta      = []byte("meta")
	bucketMessages  = []byte("messages")
	bucketFeeds     = []byte("feeds")
	bucketNumbers   = []byte("numbers")
	bucketSequences = []byte("sequences")
	bucketIDs       = []byte("ids")
	bucketForks     = []byte("forks")
	bucketWaiting   = []byte("waiting")
	bucketQueues    = []byte("queues")
	bucketTables    = []byte("tables")

	keyFormat  = []byte("format")
	keyStoreID = []byte("id")
	keyWaiting = []byte("waiting")

	castagnoli = crc32.MakeTable(crc32.Castagnoli)
)

// buckets are the names of all top-level buckets.
func buckets() [][]byte {
	return [][]byte{
		bucketMeta, bucketMessages, bucketFeeds, bucketNumbers, bucketSequences,
		bucketIDs, bucketForks, bucketWaiting, bucketQueues, bucketTables,
	}
}

// header is the fixed part of a record.
type header struct {
	received float64
	number   uint32
	seq      int64
	id       refs.Message
}

// putRecord encodes a record into dst, which has room for exactly it.
func putRecord(dst []byte, h header, value []byte) {
	binary.BigEndian.PutUint64(dst[4:], math.Float64bits(h.received))
	binary.BigEndian.PutUint32(dst[12:], h.number)
	binary.BigEndian.PutUint32(dst[16:], uint32(h.seq))
	copy(dst[20:], h.id[:])
	copy(dst[recordHeader:], value)
	binary.BigEndian.PutUint32(dst, crc32.Checksum(dst[4:], castagnoli))
}

// parseHeader decodes a record's header without looking at the CRC. The value
// that it returns points into rec.
func parseHeader(rx uint64, rec []byte) (h header, value []byte, err error) {
	if len(rec) < recordHeader {
		return h, nil, fmt.Errorf("%w: message %d in receive order is cut short or missing", ErrDamaged, rx)
	}
	h.received = math.Float64frombits(binary.BigEndian.Uint64(rec[4:]))
	h.number = binary.BigEndian.Uint32(rec[12:])
	h.seq = int64(binary.BigEndian.Uint32(rec[16:]))
	copy(h.id[:], rec[20:])
	return h, rec[recordHeader:], nil
}

// parseRecord decodes a record and checks its CRC.
func parseRecord(rx uint64, rec []byte) (h header, value []byte, err error) {
	h, value, err = parseHeader(rx, rec)
	if err == nil && binary.BigEndian.Uint32(rec) != crc32.Checksum(rec[4:], castagnoli) {
		err = fmt.Errorf("%w: message %d in receive order (sequence %d of its feed) has changed on disk", ErrDamaged, rx, h.seq)
	}
	return h, value, err
}

// rxKey is the key of a record.
func rxKey(rx uint64) []byte { return binary.BigEndian.AppendUint64(nil, rx) }

// parseRxKey reverses rxKey.
func parseRxKey(key []byte) uint64 {
	if len(key) != 8 {
		return 0
	}
	return binary.BigEndian.Uint64(key)
}

// feedHead is what the feeds bucket holds of a feed.
type feedHead struct {
	number uint32
	seq    int64
	id     refs.Message
}

const feedHeadLen = 4 + 4 + 32

func (f feedHead) encode() []byte {
	b := make([]byte, 0, feedHeadLen)
	b = binary.BigEndian.AppendUint32(b, f.number)
	b = binary.BigEndian.AppendUint32(b, uint32(f.seq))
	return append(b, f.id[:]...)
}

func parseFeedHead(feed []byte, v []byte) (f feedHead, err error) {
	if len(feed) != 32 || len(v) != feedHeadLen {
		return f, fmt.Errorf("%w: head of feed %x", ErrDamaged, feed)
	}
	f.number = binary.BigEndian.Uint32(v)
	f.seq = int64(binary.BigEndian.Uint32(v[4:]))
	copy(f.id[:], v[8:])
	return f, nil
}

// numberKey is the key of a feed number.
func numberKey(number uint32) []byte { return binary.BigEndian.AppendUint32(nil, number) }

// chunkKey is the key of the chunk of the sequences bucket that holds seq, and
// the place in it.
func chunkKey(number uint32, seq int64) (key [8]byte, slot int) {
	binary.BigEndian.PutUint32(key[:], number)
	binary.BigEndian.PutUint32(key[4:], uint32((seq-1)/chunkLen))
	return key, int((seq - 1) % chunkLen)
}

// appendRx appends a receive number as it stands in the indexes.
func appendRx(dst []byte, rx uint64) []byte {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], rx)
	return append(dst, b[8-rxLen:]...)
}

// parseRx reverses appendRx; b has at least rxLen bytes.
func parseRx(b []byte) uint64 {
	var full [8]byte
	copy(full[8-rxLen:], b[:rxLen])
	return binary.BigEndian.Uint64(full[:])
}
