package node

import (
	"context"
	"fmt"
	"sync"
)

// visitMedia visits media until ctx ends, and closes ready when their events
// can be followed. A server that cannot watch media goes on without; a node
// that is there for nothing else fails.
func (n *Node) visitMedia(ctx context.Context, o ServerOptions, ready chan<- struct{}) error {
	var once sync.Once
	started := func() { once.Do(func() { close(ready) }) }
	defer started()
	m := n.mediaOptions(o.Media)
	if m.Off {
		return nil
	}
	v, err := n.newVisitor(m)
	if err == nil {
		var followers sync.WaitGroup
		following, stop := context.WithCancel(context.WithoutCancel(ctx))
		_, number := n.media.present()
		for _, handle := range n.mediaHandlers(m) {
			followers.Go(func() {
				_ = n.media.follow(following, number, func(e MediaEvent) error { handle(e); return nil })
			})
		}
		err = v.run(ctx, started)
		stop()
		followers.Wait()
	}
	if err == nil || ctx.Err() != nil {
		return nil
	}
	if o.Offline {
		return err
	}
	n.options.Log.Error("media are not visited by themselves", "err", err)
	return nil
}

// mediaHandlers lists who is told of every event.
func (n *Node) mediaHandlers(o MediaOptions) (handlers []func(MediaEvent)) {
	if n.options.OnMedia != nil {
		handlers = append(handlers, n.options.OnMedia)
	}
	if o.OnDone != "" {
		handlers = append(handlers, OnDone(o.OnDone, n.options.Log))
	}
	return append(handlers, n.logMedia)
}

// logMedia writes what happens to media into the log.
func (n *Node) logMedia(e MediaEvent) {
	log := n.options.Log.With("path", e.Path, "label", e.Label)
	switch e.Kind {
	case MediaUnknown:
		log.Info("a stick that this node does not know is left alone", "hint", "ssbsync enroll PATH")
	case MediaAsking:
		log.Info("a stick that this node does not know", "hint", "ssbsync watch --auto ask")
	case MediaVisiting:
		log.Info("visiting", "stick", e.Stick, "waited", seconds(e.Wait))
	case MediaDone:
		log := log.With("stick", e.Stick, "result", e.Result, "in", e.In, "out", e.Out, "took", seconds(e.Seconds), "safe", e.Safe)
		if e.Error != "" {
			log.Warn("visited", "err", e.Error)
			return
		}
		log.Info("visited")
	default:
		log.Debug("medium", "event", e.Kind)
	}
}

func seconds(s float64) string { return fmt.Sprintf("%.3fs", s) }
