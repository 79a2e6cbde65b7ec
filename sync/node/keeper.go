package node

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/ssbsync/ssbsync/sync/stick"
	"github.com/ssbsync/ssbsync/watch"
)

// Why a keeper attends to its medium.
type cause uint8

const (
	becauseMounted cause = 1 << iota // it was mounted, or became writable
	becauseChanged                   // files in the folder changed
	becauseTold                      // it was enrolled, or a question was answered
	becauseGrown                     // we have something new for the folder
	becauseFailed                    // the last visit of the folder failed
)

// maxRetry bounds the time after which a folder whose visit failed is tried
// again.
const maxRetry = time.Hour

// keeper looks after one medium from Mounted to Unmounted.
type keeper struct {
	v      *visitor
	path   string
	folder bool // a plain folder that stays: nobody waits to pull it
	ctx    context.Context
	cancel context.CancelCauseFunc
	wake   chan struct{} // capacity 1: why has something new
	news   chan struct{} // capacity 1: the node has something new

	mu     sync.Mutex // guards what follows
	medium watch.Medium
	why    cause
	since  time.Time // when the first cause in why came up
	sight  sight
	spoken bool // something was told of the medium
	gone   bool // that it is unmounted was told: only how the visit ended still is
	asking bool
	answer *bool // to the question, for as long as the medium is there

	// Owned by the goroutine of run:
	told     MediaKind // what was told once of a medium that is not visited
	visits   int
	failures int       // in a row
	ended    time.Time // of the last visit
	seen     uint64    // what of Node.news the last visit knew
}

// sight is what a look at a medium found.
type sight struct {
	stick stick.ID // zero without a marker
	label string   // of the marker
}

func newKeeper(v *visitor, m watch.Medium) *keeper {
	ctx, cancel := context.WithCancelCause(v.ctx)
	return &keeper{
		v: v, path: m.Path, folder: m.Folder && !m.Removable && !m.Loop, ctx: ctx, cancel: cancel, medium: m,
		wake: make(chan struct{}, 1), news: make(chan struct{}, 1),
	}
}

// poke has the keeper attend to its medium.
func (k *keeper) poke(why cause) {
	k.mu.Lock()
	if k.why == 0 {
		k.since = time.Now()
	}
	k.why |= why
	k.mu.Unlock()
	signal(k.wake)
}

// changed takes note of a change that watch told.
func (k *keeper) changed(now watch.Medium) {
	k.mu.Lock()
	why := becauseChanged
	if k.medium.ReadOnly != now.ReadOnly || !now.Folder {
		why = becauseMounted
	}
	k.medium = now
	k.mu.Unlock()
	k.poke(why)
}

// grown takes note of news that we have.
func (k *keeper) grown() {
	if k.folder {
		signal(k.news)
	}
}

// unmounted ends the keeper, and the visit that may be under way.
func (k *keeper) unmounted() {
	e := k.event(MediaUnmounted)
	k.mu.Lock()
	k.gone = true
	if k.spoken {
		k.v.node.media.add(e, k.gone)
	}
	k.mu.Unlock()
	k.cancel(errUnmounted)
}

// tell tells of the medium.
func (k *keeper) tell(e MediaEvent) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.gone && e.Report == nil {
		return
	}
	k.spoken = true
	k.v.node.media.add(e, k.gone)
}

// signal says that there is more, without waiting for who listens.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// run attends to the medium until its context ends.
func (k *keeper) run() {
	defer k.cancel(nil)
	for {
		again, stop := k.later()
		select {
		case <-k.ctx.Done():
			stop()
			return
		case <-k.wake:
		case <-k.news: // later may say something else now
			stop()
			continue
		case <-again:
			k.poke(becauseGrown)
			<-k.wake
		}
		stop()
		k.mu.Lock()
		why, since := k.why, k.since
		k.why = 0
		k.mu.Unlock()
		if why != 0 {
			k.attend(why, since)
		}
	}
}

// later returns what tells when a folder is to be visited again without further
// cause: because we have news for it, or the last visit failed.
func (k *keeper) later() (again <-chan time.Time, stop func()) {
	if !k.folder || k.visits == 0 || k.failures == 0 && k.v.node.news() <= k.seen {
		return nil, func() {}
	}
	wait := k.v.options.Every
	for i := 1; i < k.failures && wait < maxRetry; i++ {
		wait *= 2
	}
	timer := time.NewTimer(time.Until(k.ended.Add(min(wait, max(maxRetry, k.v.options.Every)))))
	return timer.C, func() { timer.Stop() }
}

// attend looks at the medium and does what is to be done with it.
func (k *keeper) attend(why cause, since time.Time) {
	s, err := lookWithin(k.ctx, k.path)
	switch {
	case errors.Is(err, stick.ErrNoMarker):
		k.setSight(sight{})
		if m := k.describe(); m.Folder || m.Removable {
			k.tellOnce(k.event(MediaBlank))
		}
		return
	case err != nil:
		k.unreadable(err)
		return
	}
	if k.setSight(s) {
		k.tell(k.event(MediaMounted))
	}
	if !k.allowed(s) || why == becauseChanged && !k.worthwhile() {
		return
	}
	select {
	case k.v.turn <- struct{}{}:
		k.visit(s, since)
		<-k.v.turn
	case <-k.ctx.Done():
	}
}

// lookAt reads the marker of a medium. Nothing of it is open afterwards.
func lookAt(path string) (sight, error) {
	root, err := os.OpenRoot(path)
	if err != nil {
		return sight{}, err
	}
	defer root.Close()
	s, err := stick.Open(root)
	if err != nil {
		return sight{}, err
	}
	return sight{s.ID(), s.Label()}, nil
}

// lookWithin is lookAt for media that may never answer, such as those of a file
// server that is gone: when ctx ends the look is left to itself.
func lookWithin(ctx context.Context, path string) (s sight, err error) {
	done := make(chan struct{})
	var seen sight
	var failed error
	go func() {
		defer close(done)
		seen, failed = lookAt(path)
	}()
	select {
	case <-done:
		return seen, failed
	case <-ctx.Done():
		return sight{}, context.Cause(ctx)
	}
}

// worthwhile reports whether a change of a folder is a reason for a visit. When
// that cannot be found out, the visit will say why.
func (k *keeper) worthwhile() bool {
	root, err := os.OpenRoot(k.path)
	if err != nil {
		return true
	}
	defer root.Close()
	s, err := stick.Open(root)
	if err != nil {
		return true
	}
	news, err := k.v.node.peer.News(k.ctx, s)
	return news || err != nil
}

// setSight remembers what was seen, and reports whether it is another stick
// than before.
func (k *keeper) setSight(s sight) (another bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	another = k.sight.stick != s.stick
	k.sight = s
	if another {
		k.asking, k.answer, k.told = false, nil, ""
	}
	return another
}

// allowed reports whether the stick may be visited, and tells if not.
func (k *keeper) allowed(s sight) bool {
	enrolled, err := k.v.node.isEnrolled(s.stick)
	if err != nil {
		k.v.node.options.Log.Error("reading the enrolled sticks failed", "err", err)
		return false
	}
	allowed := enrolled || k.v.options.Auto == AutoAll || k.named()
	k.mu.Lock()
	answer := k.answer
	k.asking = !allowed && k.v.options.Auto == AutoAsk && answer == nil
	asking := k.asking
	k.mu.Unlock()
	switch {
	case allowed || answer != nil && *answer:
		return true
	case asking:
		k.tellOnce(k.event(MediaAsking))
	default:
		k.tellOnce(k.event(MediaUnknown))
	}
	return false
}

// named reports whether the user named the folder, in the command or in the
// config: who does that wants it to be visited. A folder that is watched because
// it was enrolled is none of these: another stick may lie there now.
func (k *keeper) named() bool {
	folders := k.v.options.Folders
	return k.describe().Folder && (slices.Contains(folders, k.path) ||
		slices.ContainsFunc(folders, func(folder string) bool { return resolved(folder) == k.path }))
}

// answered takes the answer to the question whether the stick is to be
// visited, and reports whether it was asked.
func (k *keeper) answered(yes bool) bool {
	k.mu.Lock()
	asked := k.asking
	if asked {
		k.asking, k.answer = false, &yes
	}
	k.mu.Unlock()
	if asked {
		k.poke(becauseTold)
	}
	return asked
}

// tellOnce tells of a medium that is not visited, unless that was said last.
func (k *keeper) tellOnce(e MediaEvent) {
	if k.told != e.Kind {
		k.told = e.Kind
		k.tell(e)
	}
}

// unreadable tells that a medium cannot be read. The file systems of other
// users are none of our business.
func (k *keeper) unreadable(err error) {
	if k.ctx.Err() != nil {
		return
	}
	if m := k.describe(); !m.Folder && !m.Removable {
		k.v.node.options.Log.Debug("a file system was not looked at", "path", k.path, "err", err)
		return
	}
	e := k.event(MediaDone)
	e.Result, e.Error = ResultFailed, err.Error()
	k.tellOnce(e)
}

// describe returns the medium as watch told it last.
func (k *keeper) describe() watch.Medium {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.medium
}

// event begins an event of this medium.
func (k *keeper) event(kind MediaKind) MediaEvent {
	now := k.v.node.options.Now().UnixMilli()
	k.mu.Lock()
	defer k.mu.Unlock()
	m := k.medium
	e := MediaEvent{
		Kind: kind, Time: now, Path: m.Path, Device: m.Device, Label: k.sight.label,
		Stick: k.sight.stick, Folder: m.Folder, Removable: m.Removable, ReadOnly: m.ReadOnly,
	}
	if e.Label == "" && !k.folder {
		e.Label = m.Label
	}
	if e.Label == "" {
		e.Label = printable(filepath.Base(m.Path))
	}
	return e
}
