package stick

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"

	"github.com/ssbsync/ssbsync/bundle"
	"github.com/ssbsync/ssbsync/spec/message"
	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/store/durable"
)

// scene is a medium as one visit sees it: what lies there, and what became of
// it.
type scene struct {
	demand  *demand // once it is planned what to write
	stick   *Stick
	listing *listing
	sources []*source // bundles that could be opened, by name
	others  []*Have   // accepted haves of the stores that left one here
	mine    *ownHaves
	visit   uint64 // highest visit number among the accepted haves
	deaf    bool   // some haves could not be read now: somebody may lack what we take to be released

	held    *held  // what we hold when the export is planned
	judge   *judge // what counts then
	planned int64  // messages to be written
	patient bool   // what nobody who comes by needs may wait

	removed []string // names of bundles we removed, which are in the ledger still
}

// look lists the medium and gets to know the bundles that are new on it. What
// cannot be used is noted in the report.
func (p *Peer) look(ctx context.Context, st *Stick, rep *Report, report func(Progress)) (*scene, error) {
	found, err := st.list()
	if err != nil {
		return nil, err
	}
	rep.skip(found.skipped...)
	known := make(map[string]*source)
	if !st.loose {
		if known, err = p.ledger.bundles(st.id); err != nil {
			return nil, err
		}
	}
	sc := &scene{stick: st, listing: found, deaf: found.deaf}
	load := newLoad(p.trusts, maxLoad)
	for i, e := range found.bundles {
		if err := context.Cause(ctx); err != nil {
			return nil, err
		}
		s := known[e.name]
		if s == nil || s.size != e.size {
			s = &source{size: e.size, learnt: true}
			report(Progress{Phase: Scanning, Bytes: int64(i), TotalBytes: int64(len(found.bundles))})
		}
		s.label, s.read = e.path, make(map[int]bool)
		s.open = func() (*bundle.Reader, io.Closer, error) { return st.openBundle(e) }
		delete(known, e.name)
		sc.admit(s, e.name, rep)
		load.add(s)
	}
	for _, s := range load.dropped {
		rep.skip(Skip{s.label, fmt.Sprintf("what it claims to hold takes more memory than there is for a medium (%d MiB)", maxLoad>>20)})
	}
	sc.dropTwins()
	return sc, p.ledger.keep(st.id, sc.sources, keysOf(known))
}

// admit opens a source that nothing is known of, and takes it into the scene.
func (sc *scene) admit(s *source, name string, rep *Report) {
	if s.facts == nil {
		s.study()
	}
	if s.gone {
		return // what was in it lies elsewhere, or will at the next visit
	}
	if s.broken != "" {
		s.facts = &facts{name: name}
		rep.lose(Loss{Bundle: s.label, Frame: -1, Reason: s.broken})
	}
	sc.sources = append(sc.sources, s)
}

// dropTwins removes copies of one bundle under several names, which a folder
// of loose bundles may hold.
func (sc *scene) dropTwins() {
	seen := make(map[string]bool)
	sc.sources = slices.DeleteFunc(sc.sources, func(s *source) bool {
		twin := s.broken == "" && seen[s.name]
		seen[s.name] = true
		return twin
	})
}

// openBundle opens the file of a bundle and checks its manifest and name.
func (s *Stick) openBundle(e entry) (*bundle.Reader, io.Closer, error) {
	f, info, err := durable.OpenRegular(s.root, e.path, MaxBundleSize)
	if err != nil {
		return nil, nil, err
	}
	r, err := bundle.Open(f, info.Size(), bundle.Limits{})
	if err == nil && e.name != "" && r.Name() != e.name {
		err = fmt.Errorf("%w: its manifest belongs to bundle %s", bundle.ErrInvalid, r.Name())
	}
	if err != nil {
		f.Close()
		return nil, nil, err
	}
	return r, f, nil
}

// study opens a bundle for the first time and takes the facts from it.
func (s *source) study() {
	r, closer, err := s.open()
	if err != nil {
		s.broken, s.invalid = underlying(err).Error(), errors.Is(err, bundle.ErrInvalid)
		s.gone = errors.Is(err, fs.ErrNotExist)
		return
	}
	defer closer.Close()
	s.facts = factsOf(r)
	if r.HasRanges() {
		s.read[0] = true
		return
	}
	s.setDamage(0, true)
	if !s.salvage(r) {
		s.facts, s.invalid = nil, true
		s.broken = "the range table is damaged, and the frames are not what an exporter writes"
	}
}

// readers keeps a few bundles open, for frames are often read in the order of
// the file.
type readers struct {
	open []openReader // newest last
}

type openReader struct {
	src    *source
	reader *bundle.Reader
	closer io.Closer
}

const maxOpen = 8

var errExchanged = errors.New("another bundle took its place while it was read")

// get returns a reader for the source, which stays valid until the next call.
func (o *readers) get(s *source) (*bundle.Reader, error) {
	if i := slices.IndexFunc(o.open, func(r openReader) bool { return r.src == s }); i >= 0 {
		return o.open[i].reader, nil
	}
	r, closer, err := s.open()
	if err != nil {
		return nil, err
	}
	if r.Name() != s.name {
		closer.Close()
		return nil, errExchanged
	}
	if len(o.open) == maxOpen {
		o.open[0].closer.Close()
		o.open = slices.Delete(o.open, 0, 1)
	}
	o.open = append(o.open, openReader{s, r, closer})
	return r, nil
}

func (o *readers) close() {
	for _, r := range o.open {
		r.closer.Close()
	}
	o.open = nil
}

// frame reads a message frame and notes whether it is damaged. The error is a
// sentence for the report.
func (o *readers) frame(s *source, i int) ([]byte, error) {
	r, err := o.get(s)
	if err != nil {
		return nil, err
	}
	raw, err := r.ReadFrame(i)
	s.noteFrame(manifestFrame(i), err)
	var bad *bundle.FrameError
	if errors.As(err, &bad) && bad.Cause == bundle.Untrue {
		s.spoilFrame(i)
	}
	return raw, err
}

// noteFrame remembers what reading a frame told of the copy on this medium.
// A read error may pass, and is remembered by nobody.
func (s *source) noteFrame(number int, err error) {
	var bad *bundle.FrameError
	switch {
	case err == nil:
		s.setDamage(number, false)
	case errors.As(err, &bad) && (bad.Cause == bundle.Damaged || bad.Cause == bundle.Truncated):
		s.setDamage(number, true)
	case errors.As(err, &bad) && bad.Cause != bundle.Unreadable:
		s.setDamage(number, false) // the bytes are what was signed
	}
}

// spoilFrame notes that nothing in a frame is what it claims to be, which no
// other copy will change.
func (s *source) spoilFrame(i int) {
	for k := range s.frames[i].runs {
		r := &s.frames[i].runs[k]
		r.spoil(r.First)
		r.lie = true
	}
	s.learnt = true
}

// lines calls each with the lines of a frame and where they belong: the index
// of the run and the sequence in it.
func (f *frame) lines(raw []byte, each func(run int, seq int64, line []byte) error) error {
	k, seq := 0, int64(0)
	for line := range bundle.Lines(raw) {
		for k < len(f.runs) && f.runs[k].First+seq > f.runs[k].Last {
			k, seq = k+1, 0
		}
		if k == len(f.runs) {
			return nil // bundle.ReadFrame does not let this happen
		}
		if err := each(k, f.runs[k].First+seq, line); err != nil {
			return err
		}
		seq++
	}
	return nil
}

// messageOf returns the message of a line, nil unless it is valid and the one
// that its place claims it to be.
func (p *Peer) messageOf(line []byte, feed refs.Feed, seq int64) *message.Message {
	m, err := message.Verify(line, p.Net)
	if err != nil || m.Feed() != feed || m.Seq() != seq {
		return nil
	}
	return m
}

func keysOf(m map[string]*source) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	return names
}
