package node

import (
	"context"

	"github.com/ssbsync/ssbsync/watch"
)

// MediaSource stands for a watch.Watcher.
type MediaSource interface {
	Run(ctx context.Context, handle func(watch.Event)) error
	SetFolders(folders []string) error
	Ignore(path string) (resume func(own ...string))
}

// Stopping reports whether visits are told to end.
func (n *Node) Stopping() bool { return n.visitor.Load() == nil }

// SetMedia lets a node hear of media from another source than the system.
func (n *Node) SetMedia(source MediaSource) {
	n.mediaSource = func(watch.Config) (mediaSource, error) { return source, nil }
	n.listMedia = func() ([]watch.Medium, error) { return nil, nil }
}
