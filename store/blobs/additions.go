package blobs

import (
	"context"
	"sync"
)

// maxAdditions is how many additions are remembered for those who follow them.
const maxAdditions = 4096

// additions are the latest blobs that were stored, numbered from 1.
type additions struct {
	mu      sync.Mutex
	last    uint64 // number of the newest
	ring    []Info
	most    int           // maxAdditions
	changed chan struct{} // closed by the next addition
}

func (a *additions) init() { a.changed, a.most = make(chan struct{}), maxAdditions }

func (a *additions) add(info Info) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.ring) < a.most {
		a.ring = append(a.ring, info)
	} else {
		a.ring[a.last%uint64(a.most)] = info
	}
	a.last++
	close(a.changed)
	a.changed = make(chan struct{})
}

// Last is the number of the latest blob stored since Open; 0 for none.
func (s *Store) Last() uint64 {
	s.added.mu.Lock()
	defer s.added.mu.Unlock()
	return s.added.last
}

// Added returns the blobs stored after the one with the number after, at most
// limit, and the number of the last of them. A blob that is stored again counts
// again. missed says that some are no longer remembered: a follower that fell
// so far behind reads All again.
func (s *Store) Added(after uint64, limit int) (list []Info, last uint64, missed bool) {
	a := &s.added
	a.mu.Lock()
	defer a.mu.Unlock()
	if oldest := a.last - uint64(len(a.ring)); after < oldest {
		after, missed = oldest, true
	}
	for ; after < a.last && len(list) < limit; after++ {
		list = append(list, a.ring[after%uint64(a.most)])
	}
	return list, after, missed
}

// WaitAdded returns when more blobs than the number after were stored, or with
// the cause of the end of ctx.
func (s *Store) WaitAdded(ctx context.Context, after uint64) error {
	for {
		s.added.mu.Lock()
		last, changed := s.added.last, s.added.changed
		s.added.mu.Unlock()
		if last > after {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
