package stick

import (
	"context"
	"fmt"

	"github.com/ssbsync/ssbsync/sync/space"
	"github.com/ssbsync/ssbsync/sync/vector"
)

// export writes a plan to the medium. When it is too small for all, what live
// stores lack comes before the rest, and what they need less goes for it.
func (p *Peer) export(ctx context.Context, sc *scene, plan []piece, o ExportOptions, rep *Report, report func(Progress)) error {
	if len(plan) == 0 {
		return nil
	}
	room, err := p.balance(sc, rep)
	if err != nil {
		return err
	}
	e := p.newExporter(plan, o, room, rep, report)
	each := sc.messageSize()
	rest := plan
	if size := estimate(messages(plan), each); size <= e.free-e.spare(sc) || e.budget < size && e.budget <= e.free-e.spare(sc) {
		if rest, err = e.pack(ctx, sc, plan); err != nil || len(rest) == 0 {
			return err
		}
		each = e.learn(each)
	}
	return e.squeeze(ctx, sc, rest, each)
}

// room is how many bytes may still be written.
func (e *exporter) room() int64 { return min(e.free, e.budget) }

// squeeze writes what of a plan there is or can be made room for.
func (e *exporter) squeeze(ctx context.Context, sc *scene, plan []piece, each int64) error {
	urgent, other := split(plan)
	if e.o.forOne() {
		urgent, other = nil, plan // nothing goes for somebody who may never come by
	}
	left, err := e.makeRoom(ctx, sc, urgent, each)
	if err != nil {
		return err
	}
	e.rep.Left += left
	e.free = max(0, e.free-e.spare(sc))
	rest, err := e.pack(ctx, sc, other)
	if err != nil {
		return err
	}
	if !sc.patient {
		e.rep.Left += messages(rest)
		return nil
	}
	if e.rep.Deferred = messages(rest); e.rep.Deferred > 0 {
		e.rep.hint("%d messages wait for more space: only nodes lack them that have not come by for long or that you do not follow", e.rep.Deferred)
	}
	return nil
}

// forOne reports whether an export is for one receiver only.
func (o *ExportOptions) forOne() bool { return !o.To.IsZero() || o.ToStore != ID{} }

// split divides a plan into what live stores lack and what can wait.
func split(plan []piece) (urgent, other []piece) {
	for _, p := range plan {
		early, late := p, p
		early.Last, late.First = min(p.Last, p.live-1), max(p.First, p.live)
		if late.Len() > 0 {
			urgent = append(urgent, late)
		}
		if early.Len() > 0 {
			other = append(other, early)
		}
	}
	return urgent, other
}

// maxTries is how often room is made in one visit: how much messages take is
// known only when they are packed.
const maxTries = 4

// makeRoom writes pieces, and removes what is needed less when they do not
// fit. It returns how many messages are left.
func (e *exporter) makeRoom(ctx context.Context, sc *scene, plan []piece, each int64) (left int64, err error) {
	for try := 0; len(plan) > 0 && try < maxTries; try++ {
		m, sources, err := e.medium(sc, e.free-e.short)
		if err != nil {
			return 0, err
		}
		keepFresh(m, sources)
		fit := space.Make(e.Space, m, sized(e.affordable(plan, each), each))
		if len(fit.Write) == 0 {
			break
		}
		for _, c := range fit.Remove {
			if err := e.remove(sc, sources[c.Bundle]); err != nil {
				return 0, err
			}
		}
		if err := e.measure(sc); err != nil {
			return 0, err
		}
		rest, err := e.pack(ctx, sc, unsized(fit.Write))
		if err != nil {
			return 0, err
		}
		plan = without(plan, fit.Write, rest)
		each = e.learn(each)
	}
	return messages(plan), nil
}

// relieve removes what nobody needs from a medium that is nearly full, so that
// others find room: they may not hold what is in their way.
func (p *Peer) relieve(sc *scene, o ExportOptions, rep *Report) error {
	room, err := p.room(sc, rep)
	if err != nil || room >= (room+sc.used())/space.SpareShare {
		return err
	}
	m, sources, err := p.medium(sc, room)
	if err != nil {
		return err
	}
	keepFresh(m, sources)
	e := p.newExporter(nil, o, room, rep, orNothing(nil))
	for _, c := range space.Relieve(p.Space, m) {
		if err := e.remove(sc, sources[c.Bundle]); err != nil {
			return err
		}
	}
	return nil
}

// keepFresh keeps what was written in this visit.
func keepFresh(m *space.Medium, sources []*source) {
	for i, s := range sources {
		m.Bundles[i].Fixed = m.Bundles[i].Fixed || s.fresh
	}
}

// without returns the pieces of a plan without what was written: all but the
// rest.
func without(plan []piece, written []vector.Span, rest []piece) []piece {
	gone := vector.FromSpans(written)
	back := make([]vector.Span, len(rest))
	for i := range rest {
		back[i] = rest[i].Span
	}
	gone = gone.Subtract(vector.FromSpans(back))
	var left []piece
	for _, p := range plan {
		for _, s := range gone.Uncovered(p.Span) {
			left = append(left, piece{s, p.live, p.class, p.hops})
		}
	}
	return left
}

// learn returns what a message takes, now that some are packed; or believes
// that it takes more than was thought.
func (e *exporter) learn(each int64) int64 {
	if e.done.Messages == 0 {
		return 2 * each
	}
	return min(max(e.done.Bytes/e.done.Messages, minMessageSize/2), maxMessageSize)
}

// affordable cuts off what is beyond the size that the user set: nothing goes
// for what will not be written.
func (e *exporter) affordable(plan []piece, each int64) []piece {
	budget := e.budget / each
	for i := range plan {
		if budget -= plan[i].Len(); budget <= 0 {
			return plan[:i+1]
		}
	}
	return plan
}

// sized returns the pieces with what they will take, about.
func sized(plan []piece, each int64) []space.Piece {
	total := messages(plan)
	per := estimate(total, each) / max(1, total)
	pieces := make([]space.Piece, len(plan))
	for i := range plan {
		pieces[i] = space.Piece{Span: plan[i].Span, Bytes: per * plan[i].Len()}
	}
	return pieces
}

func unsized(spans []vector.Span) []piece {
	plan := make([]piece, len(spans))
	for i, s := range spans {
		plan[i] = piece{Span: s}
	}
	return plan
}

// Bounds of what a message is believed to take in a bundle, and what is
// assumed on a medium that holds none.
const (
	minMessageSize     = 128
	maxMessageSize     = 4096
	assumedMessageSize = 400
)

// messageSize returns how many bytes a message takes in the bundles of those
// that we trust, on the average.
func (sc *scene) messageSize() int64 {
	var bytes, count int64
	for _, s := range sc.sources {
		if s.broken != "" || !sc.judge.trusts(s.exporter) {
			continue
		}
		for i := range s.frames {
			bytes += s.frames[i].stored
			for k := range s.frames[i].runs {
				count += int64(s.frames[i].runs[k].Len())
			}
		}
	}
	if count == 0 {
		return assumedMessageSize
	}
	return min(max(bytes/count, minMessageSize), maxMessageSize)
}

// estimate returns how much room it takes to write so many messages: besides
// what they take in the end, the last frame stays uncompressed until its bundle
// is closed, and a bundle has a head.
func estimate(count, each int64) int64 {
	const head = 2 << 10
	size := count * each
	return size + size/8 + min(size+size/2, 2*minSettled) + head
}

// spend notes that a bundle was written.
func (e *exporter) spend(n int64) {
	e.free -= n
	e.budget -= n
}

// spare is how much room is kept for what live stores will lack.
func (e *exporter) spare(sc *scene) int64 {
	if !sc.patient {
		return 0
	}
	return (e.free + sc.used()) / space.SpareShare
}

// measure asks how much may be written now.
func (e *exporter) measure(sc *scene) error {
	room, err := e.balance(sc, e.rep)
	e.setRoom(room)
	return err
}

// setRoom notes what balance says.
func (e *exporter) setRoom(n int64) { e.free, e.short = max(0, n), max(0, -n) }

// room returns how many bytes may be written to the medium.
func (p *Peer) room(sc *scene, rep *Report) (int64, error) {
	n, err := p.balance(sc, rep)
	return max(0, n), err
}

// balance is room or, below zero, how much is lacking before there is any: what
// is removed for something else must make up for that first, or goes in vain. What a
// dry run would have written takes nothing yet, neither on the medium nor in the
// scene; what it would have removed is gone from the scene alone.
func (p *Peer) balance(sc *scene, rep *Report) (int64, error) {
	free, _, err := p.FreeSpace(sc.stick.root.Name())
	if err != nil {
		return 0, fmt.Errorf("asking for free space on the stick: %w", err)
	}
	room, used := int64(min(free, maxNumber))-p.Reserve-sc.haveSize(), sc.used()
	if rep.DryRun {
		room, used = room+rep.Freed-rep.Bytes, used+rep.Bytes
	}
	if p.Part > 0 {
		room = min(room, p.Part-used)
	}
	return room, nil
}

// haveSize bounds what our have will take.
func (sc *scene) haveSize() int64 {
	const perFeed, head = 48, 4 << 10
	return int64(sc.held.clock.Len())*perFeed + head
}

// used returns how many bytes the bundles on the medium take.
func (sc *scene) used() (n int64) {
	for _, s := range sc.sources {
		n += s.size
	}
	return n
}
