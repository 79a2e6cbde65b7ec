package node

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/ssbsync/ssbsync/spec/muxrpc"
	"github.com/ssbsync/ssbsync/sync/stick"
)

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
