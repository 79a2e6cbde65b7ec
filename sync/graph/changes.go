package graph

// remember counts one change. The last maxRecent of them at least are kept.
func (g *Graph) remember(e Edge) {
	g.version++
	if g.recent = append(g.recent, e); len(g.recent) == 2*maxRecent {
		g.recent = append([]Edge(nil), g.recent[maxRecent:]...)
	}
}

// announce wakes whoever waits for a change.
func (g *Graph) announce() {
	close(g.changed)
	g.changed = make(chan struct{})
}

// Version counts the changes of the graph. It starts anew with every Open.
func (g *Graph) Version() uint64 {
	g.mu.RLock()
	defer g.mu.RUnlock()
	return g.version
}

// Changed returns a channel that is closed as soon as the version is higher
// than after, at once if it is already. It says only that there is more; see
// Since.
func (g *Graph) Changed(after uint64) <-chan struct{} {
	g.mu.RLock()
	defer g.mu.RUnlock()
	if g.version <= after {
		return g.changed
	}
	ready := make(chan struct{})
	close(ready)
	return ready
}

// Since returns the edges that changed after a version, in order, and the
// version they lead to. If the changes are too many or too long ago ok is
// false, and the whole graph is to be read again.
func (g *Graph) Since(after uint64) (edges []Edge, version uint64, ok bool) {
	g.mu.RLock()
	defer g.mu.RUnlock()
	if after > g.version || g.version-after > uint64(len(g.recent)) {
		return nil, g.version, false
	}
	recent := g.recent[uint64(len(g.recent))-(g.version-after):]
	return append(edges, recent...), g.version, true
}
