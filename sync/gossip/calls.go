package gossip

import (
	"errors"
	"sync"
)

// fairCalls is how many calls every peer may have open, whatever others do.
const fairCalls = 16

var errBusy = errors.New("too many open calls at this server, try again later")

// calls counts the calls of all peers that are open. Each costs a goroutine and
// what it is about to send, so that a limit for each peer does not do: there can
// be hundreds of peers. Who has more open than are left for all others gets no
// more, so that some are always left, however many are greedy.
type calls struct {
	limit int

	mu   sync.Mutex
	open int
	of   map[*session]int
}

func newCalls(limit int) *calls {
	return &calls{limit: limit, of: make(map[*session]int)}
}

// enter counts a call, or refuses it.
func (c *calls) enter(s *session) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if own := c.of[s]; own >= fairCalls && own >= c.limit-c.open {
		return false
	}
	c.open++
	c.of[s]++
	return true
}

// leave counts a call off.
func (c *calls) leave(s *session) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open--
	if c.of[s]--; c.of[s] == 0 {
		delete(c.of, s)
	}
}
