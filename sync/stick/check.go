package stick

import (
	"bytes"
	"context"
	"errors"
	"slices"

	"github.com/ssbsync/ssbsync/store"
	"github.com/ssbsync/ssbsync/sync/vector"
)

// verify compares the frames of the bundles with their hashes, once for each
// bundle on a medium, and again those that were damaged; and for exporters
// whom nobody vouches for it compares the messages with our store. Only what
// passed counts as coverage.
func (p *Peer) verify(ctx context.Context, sc *scene, rep *Report, report func(Progress)) error {
	v := &verifier{Peer: p, rep: rep, report: report}
	defer v.readers.close()
	held, err := readHeld(p.Store)
	if err != nil {
		return err
	}
	for _, s := range sc.sources {
		if !s.usable(p.Network) {
			continue
		}
		if err := v.hashes(ctx, s); err != nil {
			return err
		}
		if p.trusts(s.exporter) {
			continue
		}
		if err := v.messages(ctx, s, held); err != nil {
			return err
		}
	}
	return p.ledger.keep(sc.stick.id, sc.sources, nil)
}

type verifier struct {
	*Peer
	rep     *Report
	report  func(Progress)
	readers readers
	done    Progress
}

// hashes reads the frames that were not read in this visit.
func (v *verifier) hashes(ctx context.Context, s *source) error {
	if s.checked && len(s.damaged) == 0 && len(s.accused) == 0 {
		return nil
	}
	for i := range s.frames {
		number := manifestFrame(i)
		if s.read[number] || s.checked && !s.suspect(number) {
			continue
		}
		if err := context.Cause(ctx); err != nil {
			return err
		}
		v.frame(s, i)
	}
	for i := range s.facts.blobs {
		number := s.blobFrame(i)
		if s.read[number] || s.checked && !s.suspect(number) {
			continue
		}
		if r, err := v.readers.get(s); err == nil {
			_, _, err = r.ReadBlob(i)
			s.noteFrame(number, err)
		}
	}
	if !s.checked && s.settled() {
		s.checked, s.learnt = true, true
	}
	return nil
}

// suspect reports whether a frame is to be read again although it was good
// once.
func (s *source) suspect(number int) bool {
	return s.lost(number) || slices.Contains(s.accused, 0) || slices.Contains(s.accused, number)
}

// forget makes a visit read everything on the medium.
func (sc *scene) forget() {
	for _, s := range sc.sources {
		s.checked = false
	}
}

// settled reports whether each frame was found good or damaged; read errors,
// which may pass, leave it open.
func (s *source) settled() bool {
	for number := 1; number <= len(s.frames)+len(s.facts.blobs); number++ {
		if !s.read[number] && !slices.Contains(s.damaged, number) {
			return false
		}
	}
	return true
}

// frame reads one frame for its hash.
func (v *verifier) frame(s *source, i int) ([]byte, error) {
	raw, err := v.readers.frame(s, i)
	v.done.Phase = Checking
	v.done.Bytes += s.frames[i].stored
	v.report(v.done)
	return raw, err
}

// messages compares the runs that we hold with the store.
func (v *verifier) messages(ctx context.Context, s *source, held *held) error {
	for i := range s.frames {
		open := false
		for k := range s.frames[i].runs {
			r := &s.frames[i].runs[k]
			open = open || provable(r, held)
		}
		if !open || s.lost(manifestFrame(i)) {
			continue
		}
		if err := context.Cause(ctx); err != nil {
			return err
		}
		raw, err := v.frame(s, i)
		if err != nil {
			continue
		}
		if err := v.compare(s, &s.frames[i], raw, held); err != nil {
			return err
		}
	}
	return nil
}

// provable reports whether each message of a run could be compared, and was
// not yet.
func provable(r *run, held *held) bool { return !r.proved && held.head(r.Feed) >= r.end() }

// compare proves the runs of a frame, or notes where they lie.
func (v *verifier) compare(s *source, f *frame, raw []byte, held *held) error {
	page := pager{store: v.Store}
	rotten := make(map[int]bool) // runs of which we cannot read a message ourselves
	err := f.lines(raw, func(k int, seq int64, line []byte) error {
		r := &f.runs[k]
		if !provable(r, held) || seq > r.end() || rotten[k] {
			return nil
		}
		rec, err := page.record(vector.Span{Feed: r.Feed, First: seq, Last: r.Last})
		if errors.Is(err, store.ErrDamaged) {
			rotten[k] = true
			return nil
		}
		if err == nil && !bytes.Equal(line, rec.Value) {
			r.spoil(seq)
		}
		return err
	})
	for k := range f.runs {
		if r := &f.runs[k]; err == nil && !rotten[k] && provable(r, held) {
			r.proved, s.learnt = true, true
		}
	}
	return err
}
