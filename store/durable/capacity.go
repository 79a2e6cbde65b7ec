package durable

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"time"
)

const (
	capacityFileLen = 256 << 20 // FAT32 holds it, and a stick has at most some thousand
	capacityMargin  = 1 << 20   // stays free: folders grow, other programs write
	capacitySpots   = 16        // looked at in the newest file after each one
)

// CapacityOptions say how CheckCapacity works. The zero value tests all the
// free space.
type CapacityOptions struct {
	// Limit is the most that is written, in bytes; 0 means no limit. A
	// limited test finds a medium that lies only if it holds less than what
	// lies on it already and the limit together.
	Limit int64

	// Progress, if set, is called after every 8 MiB.
	Progress func(CapacityProgress)

	fileLen int64 // tests
}

// CapacityProgress tells how far CheckCapacity is.
type CapacityProgress struct {
	Reading bool  // false: writing; true: reading back
	Done    int64 // bytes of this pass, on the medium or read back
	Total   int64 // bytes of this pass; of writing, as far as is known
}

// CapacityReport is what CheckCapacity found, in bytes. Good, Zero, Elsewhere,
// Damaged and Unreadable add up to Written.
type CapacityReport struct {
	Size    int64 // of the file system, as the medium claims
	Claimed int64 // free space, as the medium claimed before the test
	Written int64

	Good       int64 // came back as written
	Zero       int64 // came back as zeros: was thrown away
	Elsewhere  int64 // came back as what was written to another place: the medium wraps around
	Damaged    int64 // came back as something else
	Unreadable int64 // did not come back

	// Complete says that everything claimed was tested, but for a margin of
	// 1 MiB and what the file system needs for itself.
	Complete bool

	// Verified says that all was read from the medium. Otherwise some of it
	// may have come from the memory of this system, which cannot be told to
	// forget, and Good proves nothing.
	Verified bool

	// Failed is the error that ended the writing before its time, or nil.
	// No room left is none.
	Failed error

	WriteTime, ReadTime time.Duration
}

// OK reports whether everything came back that was written.
func (r CapacityReport) OK() bool { return r.Failed == nil && r.Good == r.Written }

// WriteRate returns bytes per second, syncs included.
func (r CapacityReport) WriteRate() float64 { return rate(r.Written, r.WriteTime) }

// ReadRate returns bytes per second of reading back.
func (r CapacityReport) ReadRate() float64 { return rate(r.Written, r.ReadTime) }

func rate(n int64, d time.Duration) float64 {
	if d <= 0 {
		return 0
	}
	return float64(n) / d.Seconds()
}

// CheckCapacity finds media that claim more than they hold. It fills the free
// space with files of a pseudo-random pattern below dir, a folder below root,
// made if it is missing; reads everything back from the medium; and removes
// the files, also when it fails or ctx ends, and the folder, if nothing else is in
// it. Files of an earlier test that was killed are removed first.
//
// A medium that lies loses, while it is filled, what lay on it before: it may
// write over its own beginning. To do little of that, some spots are read after
// every file, and the writing ends when one of them is wrong. There is no quick
// mode that samples: where a file's blocks lie is up to the file system, and
// FAT cannot leave holes, so that only a full medium proves anything.
//
// What the medium got wrong is a finding, not an error: an error says that the
// test could not be made, or that its files could not be removed.
func CheckCapacity(ctx context.Context, root *os.Root, dir string, o CapacityOptions) (CapacityReport, error) {
	m, err := openMedium(root, dir)
	if err != nil {
		return CapacityReport{}, fmt.Errorf("checking the capacity: %w", err)
	}
	defer m.close()
	r, err := checkCapacity(ctx, m, o)
	if err != nil {
		return r, fmt.Errorf("checking the capacity: %w", err)
	}
	return r, nil
}

// checkCapacity is CheckCapacity on an empty medium.
func checkCapacity(ctx context.Context, m medium, o CapacityOptions) (r CapacityReport, err error) {
	p := &probe{m: m, o: o, report: &r}
	rand.Read(p.key[:])
	if p.o.fileLen == 0 {
		p.o.fileLen = capacityFileLen
	}
	defer func() { err = errors.Join(err, p.removeAll()) }()
	free, size, err := m.Free()
	if err != nil {
		return r, err
	}
	r.Claimed, r.Size, r.Verified = int64(free), int64(size), true
	if err := p.write(ctx); err != nil {
		return r, err
	}
	if err := p.read(ctx); err != nil {
		return r, err
	}
	if r.Written > 0 && r.Unreadable == r.Written {
		return r, errors.New("nothing could be read back: the medium is gone, or broken altogether")
	}
	return r, nil
}
