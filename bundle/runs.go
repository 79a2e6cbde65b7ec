package bundle

import "fmt"

// checkRun holds the rules on one run: last has the highest sequence so far
// of each feed, current is the feed of the run before, and sameFrame says
// that this run is in the same frame.
func checkRun(r feedRun, last []uint32, current int, sameFrame bool) error {
	switch {
	case uint64(r.feed) >= uint64(len(last)):
		return fmt.Errorf("feed number %d of %d", r.feed, len(last))
	case r.first < 1 || r.last < r.first || r.last > MaxSeq:
		return fmt.Errorf("sequences %d to %d", r.first, r.last)
	case int(r.feed) != current && last[r.feed] != 0:
		return fmt.Errorf("feed number %d for the second time", r.feed)
	case r.first <= last[r.feed]:
		return fmt.Errorf("sequence %d after %d", r.first, last[r.feed])
	case int(r.feed) == current && sameFrame && r.first == last[r.feed]+1:
		return fmt.Errorf("sequence %d begins a run that the run before could hold", r.first)
	}
	return nil
}
