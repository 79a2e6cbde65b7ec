package node

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/ssbsync/ssbsync/spec/muxrpc"
	"github.com/ssbsync/ssbsync/store/durable"
	"github.com/ssbsync/ssbsync/sync/stick"
	"github.com/ssbsync/ssbsync/watch"
)

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

// enrollFolder makes a folder a stick that is visited by itself.
func (n *Node) enrollFolder(ctx context.Context, c *muxrpc.Call, st *muxrpc.Stream) error {
	var o EnrollOptions
	if err := options(c, &o); err != nil {
		return err
	}
	if !filepath.IsAbs(o.Path) {
		return usage("%s: no absolute path", c.Name())
	}
	if err := n.misplaced(o.Path); err != nil {
		return err
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
	} else if err := durable.CleanCapacity(root, durable.CapacityDir); err != nil {
		n.options.Log.Warn("what a test of the capacity left stays", "path", o.Path, "err", err)
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
	r, err := durable.CheckCapacity(ctx, root, durable.CapacityDir, durable.CapacityOptions{Progress: func(p durable.CapacityProgress) {
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
