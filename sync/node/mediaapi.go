package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/ssbsync/ssbsync/spec/muxrpc"
	"github.com/ssbsync/ssbsync/store/durable"
	"github.com/ssbsync/ssbsync/sync/stick"
	"github.com/ssbsync/ssbsync/watch"
)

func (n *Node) addMedia(m *muxrpc.Mux) {
	m.Source("ssbsync.stick.events", n.mediaEvents)
	m.Source("ssbsync.stick.enroll", n.enrollFolder)
	m.Source("ssbsync.stick.list", n.listSticks)
	m.Source("ssbsync.stick.show", n.showStick)
	m.Async("ssbsync.stick.answer", n.answerQuestion)
	m.Async("ssbsync.stick.forget", n.forgetEnrolled)
}

// errNobodyWatches says that no server looks after media.
var errNobodyWatches = errors.New("nobody watches media for this home folder: start ssbsync server or ssbsync watch")

// EventsOptions are the options of ssbsync.stick.events.
type EventsOptions struct {
	Old      bool `json:"old"`      // begin with the last event of each medium that is there
	Progress bool `json:"progress"` // send progress too
}

// mediaEvents sends MediaEvents as they happen.
func (n *Node) mediaEvents(ctx context.Context, c *muxrpc.Call, st *muxrpc.Stream) error {
	var o EventsOptions
	if err := options(c, &o); err != nil {
		return err
	}
	if n.visitor.Load() == nil {
		return errNobodyWatches
	}
	old, number := n.media.present()
	send := func(e MediaEvent) error {
		if e.Kind == MediaProgress && !o.Progress {
			return nil
		}
		return st.Send(ctx, e)
	}
	if o.Old {
		for _, e := range old {
			if err := send(e); err != nil {
				return err
			}
		}
	}
	return n.media.follow(ctx, number, send)
}

// EnrollOptions are the options of ssbsync.stick.enroll.
type EnrollOptions struct {
	Path          string `json:"path"`            // folder, absolute
	Label         string `json:"label,omitempty"` // for the marker, when there is none yet
	CheckCapacity bool   `json:"checkCapacity,omitempty"`
}

// EnrollItem is what ssbsync.stick.enroll sends: progress again and again, then
// what came of it.
type EnrollItem struct {
	Progress *CapacityProgress `json:"progress,omitempty"`
	Capacity *Capacity         `json:"capacity,omitempty"`
	Stick    *StickInfo        `json:"stick,omitempty"` // missing when the capacity is a lie
	Visits   bool              `json:"visits"`          // the server visits it by itself now
	Alone    bool              `json:"alone,omitempty"` // this node wants nobody's feed but its own
}

// CapacityProgress is how far the test of a medium is, in bytes.
type CapacityProgress struct {
	Reading bool  `json:"reading"` // the second pass, reading back
	Done    int64 `json:"done"`
	Total   int64 `json:"total"`
}

// Capacity is what filling a medium and reading it back found, in bytes.
type Capacity struct {
	OK         bool   `json:"ok"`         // all came back as it was written
	Complete   bool   `json:"complete"`   // all free space was tested
	Verified   bool   `json:"verified"`   // all was read from the medium, none from a cache
	Size       int64  `json:"size"`       // of the file system, as the medium claims
	Written    int64  `json:"written"`    //
	Good       int64  `json:"good"`       // came back as written
	Zero       int64  `json:"zero"`       // came back as zeros
	Elsewhere  int64  `json:"elsewhere"`  // came back as what was written to another place
	Damaged    int64  `json:"damaged"`    // came back as something else
	Unreadable int64  `json:"unreadable"` // did not come back
	Error      string `json:"error,omitempty"`
	WriteRate  int64  `json:"writeRate"` // bytes per second
	ReadRate   int64  `json:"readRate"`
}

// capacityDir is where the test of a medium writes.
const capacityDir = "ssbsync-capacity"

// enrollFolder makes a folder a stick that is visited by itself.
func (n *Node) enrollFolder(ctx context.Context, c *muxrpc.Call, st *muxrpc.Stream) error {
	var o EnrollOptions
	if err := options(c, &o); err != nil {
		return err
	}
	if !filepath.IsAbs(o.Path) {
		return usage("%s: no absolute path", c.Name())
	}
	root, err := os.OpenRoot(o.Path)
	if err != nil {
		return n.folderError(o.Path, err)
	}
	defer root.Close()
	if o.CheckCapacity {
		if folder, err := n.isPlain(o.Path); err != nil {
			return err
		} else if folder {
			return usage("%s is a folder of a disk, not a medium: its capacity is not checked", o.Path)
		}
		report, err := n.checkCapacity(ctx, st, root)
		if err == nil {
			err = st.Send(ctx, EnrollItem{Capacity: &report})
		}
		if err != nil || !report.OK {
			return err
		}
	}
	s, err := stick.CreateLabelled(root, o.Label)
	if err == nil {
		err = root.Close() // who attends to it next may want to unmount it
	}
	if err != nil {
		return spaceError(fmt.Errorf("enrolling %s: %w", o.Path, err))
	}
	info, err := n.enrollStick(s, o.Path)
	if err != nil {
		return err
	}
	if err := n.policy.refresh(ctx); err != nil {
		return err
	}
	return st.Send(ctx, EnrollItem{Stick: &info, Visits: n.visitor.Load() != nil, Alone: n.policy.wantsNobody()})
}

// checkCapacity fills a medium and reads it back.
func (n *Node) checkCapacity(ctx context.Context, st *muxrpc.Stream, root *os.Root) (Capacity, error) {
	r, err := durable.CheckCapacity(ctx, root, capacityDir, durable.CapacityOptions{Progress: func(p durable.CapacityProgress) {
		// A reader that has gone ends the call by its context.
		_ = st.Send(ctx, EnrollItem{Progress: &CapacityProgress{p.Reading, p.Done, p.Total}})
	}})
	if err != nil {
		return Capacity{}, err
	}
	found := Capacity{
		OK: r.OK(), Complete: r.Complete, Verified: r.Verified, Size: r.Size, Written: r.Written, Good: r.Good, Zero: r.Zero,
		Elsewhere: r.Elsewhere, Damaged: r.Damaged, Unreadable: r.Unreadable, WriteRate: int64(r.WriteRate()), ReadRate: int64(r.ReadRate()),
	}
	if r.Failed != nil {
		found.Error = r.Failed.Error()
	}
	return found, nil
}

// enrollStick remembers a stick at a path, and has it visited.
func (n *Node) enrollStick(s *stick.Stick, path string) (StickInfo, error) {
	folder, err := n.isPlain(path)
	if err != nil {
		return StickInfo{}, err
	}
	e, err := n.enrol(s.ID(), func(e *Enrolment) {
		e.Label = s.Label()
		if folder {
			e.Folder = path
		}
	})
	if v := n.visitor.Load(); err == nil && v != nil {
		err = v.enrolled(path)
	}
	return StickInfo{Enrolment: e, Enrolled: true, Path: path}, err
}

// isPlain reports whether a path is a plain folder that must be watched, not
// the top of a medium, of which one hears when it is mounted.
func (n *Node) isPlain(path string) (bool, error) {
	media, err := n.listMedia()
	if err != nil {
		return false, err
	}
	at := resolved(path)
	return !slices.ContainsFunc(media, func(m watch.Medium) bool { return m.Path == at }), nil
}

// StickInfo is what ssbsync.stick.list sends of a stick.
type StickInfo struct {
	Enrolment
	Enrolled bool        `json:"enrolled"`
	Path     string      `json:"path,omitempty"`   // where it is now; a stick may be at several places
	State    MediaKind   `json:"state,omitempty"`  // the last event of it, with a server
	Result   MediaResult `json:"result,omitempty"` // of the last visit since it is there, the same
}

// listSticks sends a StickInfo for each stick that is enrolled or there.
func (n *Node) listSticks(ctx context.Context, _ *muxrpc.Call, st *muxrpc.Stream) error {
	enrolled, err := n.enrolments()
	if err != nil {
		return err
	}
	there, err := n.sticksThere(ctx, enrolled)
	if err != nil {
		return err
	}
	known := make(map[stick.ID]Enrolment, len(enrolled))
	for _, e := range enrolled {
		known[e.Stick] = e
	}
	seen := make(map[stick.ID]bool)
	for i := range there {
		seen[there[i].Stick] = true
		if e, ok := known[there[i].Stick]; ok {
			label := cmp.Or(there[i].Label, e.Label)
			there[i].Enrolment, there[i].Enrolled, there[i].Label = e, true, label
		}
	}
	for _, e := range enrolled {
		if !seen[e.Stick] {
			there = append(there, StickInfo{Enrolment: e, Enrolled: true})
		}
	}
	for _, info := range there {
		if err := st.Send(ctx, info); err != nil {
			return err
		}
	}
	return nil
}

// sticksThere lists the sticks that can be reached now.
func (n *Node) sticksThere(ctx context.Context, enrolled []Enrolment) (there []StickInfo, err error) {
	if n.visitor.Load() != nil {
		events, _ := n.media.present()
		for _, e := range events {
			if e.Stick != (stick.ID{}) {
				there = append(there, StickInfo{Enrolment: Enrolment{Stick: e.Stick, Label: e.Label}, Path: e.Path, State: e.Kind, Result: e.Result})
			}
		}
		return there, nil
	}
	media, err := n.listMedia()
	if err != nil {
		return nil, err
	}
	var paths []string
	for _, m := range media {
		paths = append(paths, m.Path)
	}
	for _, e := range enrolled {
		if e.Folder != "" && !slices.Contains(paths, e.Folder) {
			paths = append(paths, e.Folder)
		}
	}
	for i, s := range lookAround(ctx, paths) {
		if s.stick != (stick.ID{}) {
			label := cmp.Or(s.label, printable(filepath.Base(paths[i])))
			there = append(there, StickInfo{Enrolment: Enrolment{Stick: s.stick, Label: label}, Path: paths[i]})
		}
	}
	return there, nil
}

// lookTime is how long a medium has for showing its marker.
const lookTime = 5 * time.Second

// lookAround reads the markers of several media at the same time.
func lookAround(ctx context.Context, paths []string) []sight {
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	sights := make([]sight, len(paths))
	var group sync.WaitGroup
	for i, path := range paths {
		group.Go(func() {
			if s, err := lookWithin(ctx, path); err == nil {
				sights[i] = s
			}
		})
	}
	group.Wait()
	return sights
}

// ShowOptions are the options of ssbsync.stick.show.
type ShowOptions struct {
	Path   string `json:"path"`             // folder, absolute
	DryRun bool   `json:"dryRun,omitempty"` // say what a visit would move
}

// ShowItem is what ssbsync.stick.show sends: progress again and again, then
// what it found.
type ShowItem struct {
	Progress *stick.Progress `json:"progress,omitempty"`
	Stick    *StickDetails   `json:"stick,omitempty"`
}

// StickDetails is what lies on a stick, and what a visit would do.
type StickDetails struct {
	stick.Survey
	Path     string             `json:"path"`
	Enrolled bool               `json:"enrolled"`
	Visit    *stick.VisitReport `json:"visit,omitempty"` // of a dry run
}

// showStick looks at a stick and changes nothing on it.
func (n *Node) showStick(ctx context.Context, c *muxrpc.Call, st *muxrpc.Stream) error {
	var o ShowOptions
	if err := options(c, &o); err != nil {
		return err
	}
	if !filepath.IsAbs(o.Path) {
		return usage("%s: no absolute path", c.Name())
	}
	if err := n.policy.refresh(ctx); err != nil {
		return err
	}
	root, err := os.OpenRoot(o.Path)
	if err != nil {
		return n.folderError(o.Path, err)
	}
	defer root.Close()
	s, err := stick.Open(root)
	if err != nil {
		return fmt.Errorf("%s: %w", o.Path, err)
	}
	details := StickDetails{Path: o.Path}
	if details.Enrolled, err = n.isEnrolled(s.ID()); err != nil {
		return err
	}
	if details.Survey, err = n.peer.Survey(ctx, s); err != nil {
		return fmt.Errorf("looking at %s: %w", o.Path, err)
	}
	if o.DryRun {
		visit, err := n.peer.Visit(ctx, s, stick.VisitOptions{Export: stick.ExportOptions{DryRun: true}, Progress: progressTo(ctx, st)})
		if err != nil {
			return fmt.Errorf("looking at %s: %w", o.Path, err)
		}
		details.Visit = &visit
	}
	return st.Send(ctx, ShowItem{Stick: &details})
}

// AnswerOptions are the options of ssbsync.stick.answer: to which question, by
// path or stick, and what.
type AnswerOptions struct {
	Path   string    `json:"path,omitempty"`
	Stick  *stick.ID `json:"stick,omitempty"`
	Visit  bool      `json:"visit"`
	Always bool      `json:"always,omitempty"` // enrol it too: nobody is asked again
}

// answerQuestion answers whether a stick is to be visited.
func (n *Node) answerQuestion(_ context.Context, c *muxrpc.Call) (any, error) {
	var o AnswerOptions
	if err := options(c, &o); err != nil {
		return nil, err
	}
	if o.Path == "" && o.Stick == nil {
		return nil, usage("%s: neither path nor stick", c.Name())
	}
	v := n.visitor.Load()
	if v == nil {
		return nil, errNobodyWatches
	}
	answered := 0
	for _, k := range v.all() {
		e := k.event(MediaAsking)
		if o.Path != "" && e.Path != o.Path || o.Stick != nil && e.Stick != *o.Stick {
			continue
		}
		if !k.answered(o.Visit) {
			continue
		}
		answered++
		if o.Visit && o.Always {
			if _, err := n.enrol(e.Stick, func(x *Enrolment) { x.Label = e.Label }); err != nil {
				return nil, err
			}
		}
	}
	if answered == 0 {
		return nil, errors.New("nobody asks about that stick")
	}
	return true, nil
}

// forgetEnrolled ends that a stick is visited by itself:
// ssbsync.stick.forget(id).
func (n *Node) forgetEnrolled(_ context.Context, c *muxrpc.Call) (any, error) {
	var id stick.ID
	if err := c.DecodeArgs(&id); err != nil {
		return nil, usage("%s: %v", c.Name(), err)
	}
	known, err := n.forgetStick(id)
	if v := n.visitor.Load(); err == nil && known && v != nil {
		var folders []string
		if folders, err = v.folders(); err == nil {
			err = v.source.SetFolders(folders)
		}
	}
	return known, err
}
