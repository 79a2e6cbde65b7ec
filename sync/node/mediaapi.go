package node

import (
	"context"
	"errors"

	"github.com/ssbsync/ssbsync/spec/muxrpc"
	"github.com/ssbsync/ssbsync/sync/stick"
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
