package durable

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"time"
)

// badReadsMost bounds how often a file is tried that the medium cannot read:
// each try may cost many seconds.
const badReadsMost = 16

// chunkLen is how much is read or written at once, in bytes.
const chunkLen = 1 << 20

// A probe is one run of CheckCapacity. Files follow each other on one axis of
// positions: file i begins at i * fileLen.
type probe struct {
	m      medium
	o      CapacityOptions
	key    [32]byte
	report *CapacityReport
	sizes  []int64 // of the files written, in bytes
	chunk  [chunkLen]byte
	want   [sectorLen]byte
}

// write fills the medium.
func (p *probe) write(ctx context.Context) error {
	begun := time.Now()
	defer func() { p.report.WriteTime = time.Since(begun) }()
	room := max(0, p.report.Claimed-capacityMargin) / sectorLen * sectorLen
	total := room
	if p.o.Limit > 0 {
		total = min(total, p.o.Limit/sectorLen*sectorLen)
	}
	for p.report.Written < total {
		want := min(p.o.fileLen, total-p.report.Written)
		full, err := p.writeFile(ctx, want, total)
		if err != nil {
			return err
		}
		if full || p.report.Failed != nil || !p.spotsGood() {
			p.report.Complete = full && total == room
			return nil
		}
	}
	p.report.Complete = total == room
	return nil
}

// writeFile writes one more file, and reports whether the medium was full
// before its end. Its error is one that ends the test.
func (p *probe) writeFile(ctx context.Context, want, total int64) (full bool, err error) {
	f, err := p.m.Create(len(p.sizes))
	if err != nil {
		return p.failed(err)
	}
	defer f.Close()
	p.sizes = append(p.sizes, 0)
	for size := int64(0); size < want; {
		if err := ctx.Err(); err != nil {
			return false, err
		}
		n, writeErr := p.writeStep(f, size, min(stepLen, want-size))
		if err := f.Sync(); err != nil {
			return p.failed(err)
		}
		size += n
		p.sizes[len(p.sizes)-1] = size
		p.report.Written += n
		p.progress(CapacityProgress{Done: p.report.Written, Total: total})
		if writeErr != nil {
			return p.failed(writeErr)
		}
	}
	return false, nil
}

// writeStep writes n bytes at the end of the newest file, whose size is given,
// and returns how many whole sectors of them were taken.
func (p *probe) writeStep(f mediumFile, size, n int64) (done int64, err error) {
	base := int64(len(p.sizes)-1) * p.o.fileLen
	for done < n && err == nil {
		part := p.chunk[:min(chunkLen, n-done)]
		p.pattern(part, base+size+done)
		var m int
		m, err = f.Write(part)
		done += int64(m)
	}
	return done - done%sectorLen, err
}

// failed takes note of an error of the medium. Before the first byte it means
// that there is no test to be made.
func (p *probe) failed(err error) (full bool, _ error) {
	switch {
	case IsFull(err):
		return true, nil
	case p.report.Written == 0:
		return false, err
	}
	p.report.Failed = err
	return false, nil
}

// spotsGood looks at the first sector of every file and at some of the newest.
func (p *probe) spotsGood() bool {
	newest := len(p.sizes) - 1
	for i, size := range p.sizes {
		if size == 0 {
			continue
		}
		spots := 1
		if i == newest {
			spots = capacitySpots
		}
		if !p.fileSpotsGood(i, size, spots) {
			return false
		}
	}
	return true
}

func (p *probe) fileSpotsGood(index int, size int64, spots int) bool {
	f, err := p.m.Open(index)
	if err != nil {
		return false
	}
	defer f.Close()
	f.DropCache()
	got, want := p.chunk[:sectorLen], p.want[:]
	for s := range spots {
		at := int64(0)
		if s > 0 {
			at = rand.Int64N(size/sectorLen) * sectorLen
		}
		if n, _ := f.ReadAt(got, at); n < sectorLen {
			return false
		}
		p.pattern(want, int64(index)*p.o.fileLen+at)
		if !bytes.Equal(got, want) {
			return false
		}
	}
	return true
}

// read reads everything back.
func (p *probe) read(ctx context.Context) error {
	begun := time.Now()
	defer func() { p.report.ReadTime = time.Since(begun) }()
	done := int64(0)
	for i, size := range p.sizes {
		if err := p.readFile(ctx, i, size, done); err != nil {
			return err
		}
		done += size
	}
	return nil
}

// readFile reads a file back; done is what was read of those before it. Its
// only error is that of ctx.
func (p *probe) readFile(ctx context.Context, index int, size, done int64) error {
	f, err := p.m.Open(index)
	if err != nil {
		p.report.Unreadable += size
		return nil
	}
	defer f.Close()
	if !f.DropCache() {
		p.report.Verified = false
	}
	base, bad := int64(index)*p.o.fileLen, 0
	for at := int64(0); at < size; {
		if err := ctx.Err(); err != nil {
			return err
		}
		n := min(chunkLen, size-at)
		if got, _ := f.ReadAt(p.chunk[:n], at); int64(got) == n {
			p.judge(p.chunk[:n], base+at)
		} else {
			bad = p.readSectors(f, base, at, n, bad)
		}
		at += n
		if at%stepLen == 0 || at == size {
			p.progress(CapacityProgress{Reading: true, Done: done + at, Total: p.report.Written})
		}
	}
	return nil
}

// readSectors reads a chunk that did not come back in one go. It counts the
// sectors of this file that did not, and does not try any more beyond
// badReadsMost.
func (p *probe) readSectors(f mediumFile, base, at, n int64, bad int) int {
	for end := at + n; at < end; at += sectorLen {
		sector := p.chunk[:sectorLen]
		if bad < badReadsMost {
			if got, _ := f.ReadAt(sector, at); got == sectorLen {
				p.judge(sector, base+at)
				continue
			}
			bad++
		}
		p.report.Unreadable += sectorLen
	}
	return bad
}

// judge counts sectors that came back, by what they hold.
func (p *probe) judge(data []byte, pos int64) {
	for ; len(data) > 0; data, pos = data[sectorLen:], pos+sectorLen {
		switch sector := data[:sectorLen]; {
		case p.holds(sector, pos):
			p.report.Good += sectorLen
		case isZero(sector):
			p.report.Zero += sectorLen
		case p.holds(sector, claimedPosition(sector)):
			p.report.Elsewhere += sectorLen
		default:
			p.report.Damaged += sectorLen
		}
	}
}

func (p *probe) progress(now CapacityProgress) {
	if p.o.Progress != nil {
		p.o.Progress(now)
	}
}

// removeAll removes the files.
func (p *probe) removeAll() error {
	var errs []error
	for i := range p.sizes {
		errs = append(errs, p.m.Remove(i))
	}
	return errors.Join(errs...)
}
