package bundle

import (
	"encoding/binary"

	"github.com/ssbsync/ssbsync/spec/refs"
)

// rangeTable says what is in each message and blob frame. Integers are 32
// bits, little endian (spec/bundle.md, "Range table").
//
//	size  field
//	4     number of feeds
//	4     number of message frames
//	4     number of blobs
//	32    each feed, ascending
//	      for each message frame:
//	4       number of runs
//	20      each run: number of the feed, first and last sequence, 8 bytes of the last id
//	32    the id of each blob frame
type rangeTable struct {
	feeds  []refs.Feed
	frames [][]feedRun
	blobs  []refs.Blob
}

// feedRun is a Run by the number of its feed.
type feedRun struct {
	feed, first, last uint32
	lastID            IDPrefix
}

const (
	rangesHead = 12
	feedLen    = 32
	runLen     = 20
	blobLen    = 32
)

// len returns the size of the table's encoding.
func (t *rangeTable) len() int {
	n := rangesHead + feedLen*len(t.feeds) + 4*len(t.frames) + blobLen*len(t.blobs)
	for _, runs := range t.frames {
		n += runLen * len(runs)
	}
	return n
}

func (t *rangeTable) marshal() []byte {
	le := binary.LittleEndian
	b := make([]byte, 0, t.len())
	b = le.AppendUint32(b, uint32(len(t.feeds)))
	b = le.AppendUint32(b, uint32(len(t.frames)))
	b = le.AppendUint32(b, uint32(len(t.blobs)))
	for _, f := range t.feeds {
		b = append(b, f[:]...)
	}
	for _, runs := range t.frames {
		b = le.AppendUint32(b, uint32(len(runs)))
		for _, r := range runs {
			b = le.AppendUint32(b, r.feed)
			b = le.AppendUint32(b, r.first)
			b = le.AppendUint32(b, r.last)
			b = append(b, r.lastID[:]...)
		}
	}
	for _, id := range t.blobs {
		b = append(b, id[:]...)
	}
	return b
}

// parseRangeTable reads exactly what marshal writes and holds it against the
// manifest m.
func parseRangeTable(b []byte, m *Manifest) (*rangeTable, error) {
	t := &rangeTable{}
	b, err := t.parseHead(b, m)
	if err != nil {
		return nil, err
	}
	if b, err = t.parseRuns(b); err != nil {
		return nil, err
	}
	if len(b) != blobLen*len(t.blobs) {
		return nil, invalidf("range table: %d bytes for %d blobs", len(b), len(t.blobs))
	}
	for i := range t.blobs {
		t.blobs[i] = refs.Blob(b[blobLen*i:])
	}
	return t, t.check(m)
}

// parseHead reads the counts, which must be those of m, and the feeds.
func (t *rangeTable) parseHead(b []byte, m *Manifest) (rest []byte, err error) {
	if len(b) < rangesHead {
		return nil, invalidf("range table of %d bytes", len(b))
	}
	le := binary.LittleEndian
	feeds, frames, blobs := le.Uint32(b), le.Uint32(b[4:]), le.Uint32(b[8:])
	b = b[rangesHead:]
	messageFrames := uint32(len(m.Frames)) - 1 - m.Blobs
	if feeds != m.Feeds || frames != messageFrames || blobs != m.Blobs {
		return nil, invalidf("range table counts %d feeds, %d message frames, %d blobs; manifest %d, %d, %d",
			feeds, frames, blobs, m.Feeds, messageFrames, m.Blobs)
	}
	if uint64(len(b)) < feedLen*uint64(feeds) {
		return nil, invalidf("range table ends in its feeds")
	}
	t.feeds = make([]refs.Feed, feeds)
	t.frames = make([][]feedRun, frames)
	t.blobs = make([]refs.Blob, blobs)
	for i := range t.feeds {
		t.feeds[i] = refs.Feed(b[feedLen*i:])
	}
	return b[feedLen*len(t.feeds):], nil
}

func (t *rangeTable) parseRuns(b []byte) (rest []byte, err error) {
	le := binary.LittleEndian
	for i := range t.frames {
		if len(b) < 4 || uint64(len(b)-4) < runLen*uint64(le.Uint32(b)) {
			return nil, invalidf("range table ends in the runs of message frame %d", i)
		}
		runs := make([]feedRun, le.Uint32(b))
		b = b[4:]
		for k := range runs {
			runs[k] = feedRun{le.Uint32(b), le.Uint32(b[4:]), le.Uint32(b[8:]), IDPrefix(b[12:])}
			b = b[runLen:]
		}
		t.frames[i] = runs
	}
	return b, nil
}

// check holds the rules on the order and the counts of feeds, runs and blobs.
func (t *rangeTable) check(m *Manifest) error {
	for i := 1; i < len(t.feeds); i++ {
		if t.feeds[i].Compare(t.feeds[i-1]) <= 0 {
			return invalidf("range table: feed %d not ascending", i)
		}
	}
	if err := t.checkRuns(m); err != nil {
		return err
	}
	return t.checkBlobs(m)
}

// checkRuns holds the rules on runs: each feed is in one place of the bundle,
// its sequences ascend, runs that touch in a frame are one run, and the
// counts fit the frames.
func (t *rangeTable) checkRuns(m *Manifest) error {
	last := make([]uint32, len(t.feeds)) // highest sequence so far, by feed
	current, seen, total := -1, 0, uint64(0)
	for i, runs := range t.frames {
		count := uint64(0)
		for k, r := range runs {
			if err := checkRun(r, last, current, k > 0); err != nil {
				return invalidf("range table: message frame %d, run %d: %v", i, k, err)
			}
			if int(r.feed) != current {
				current, seen = int(r.feed), seen+1
			}
			last[r.feed] = r.last
			count += uint64(r.last-r.first) + 1
		}
		if raw := m.Frames[1+i].Raw; count == 0 || count > uint64(raw)/minLine {
			return invalidf("range table: %d messages in message frame %d of %d bytes", count, i, raw)
		}
		total += count
	}
	if total != uint64(m.Messages) || seen != len(t.feeds) {
		return invalidf("range table: %d messages of %d feeds; manifest %d of %d", total, seen, m.Messages, m.Feeds)
	}
	return nil
}

// checkBlobs holds that blobs stand small before large, and by id where they
// are equally large.
func (t *rangeTable) checkBlobs(m *Manifest) error {
	frames := m.Frames[1+len(t.frames):]
	for i := 1; i < len(t.blobs); i++ {
		a, b := frames[i-1].Raw, frames[i].Raw
		if a > b || a == b && t.blobs[i-1].Compare(t.blobs[i]) >= 0 {
			return invalidf("range table: blob %d not ascending", i)
		}
	}
	return nil
}
