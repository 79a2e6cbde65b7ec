package sim

import "fmt"

// Result is what a scenario came to.
type Result struct {
	Messages int64 // that arrived in the scenario
	Visits   int
	Bundles  int
	Copies   int64 // messages written, every time counted
	Removed  int   // bundles
	Merged   int   // bundles that went into another one
	Haves    int
	Lost     int // sticks
	Renewed  int // stores that took a new id

	BundleBytes int64
	HaveBytes   int64
	MergeBytes  int64
	Fullest     int64 // most bytes on a stick

	// Lag is the mean, over all messages and all nodes that live to the end,
	// want the message and are not its home, of the days between its arrival at
	// its home and the end of the visit that brought it. What has not come by
	// the end of the last day counts as if it came then.
	Lag   float64
	Worst float64 // the longest of these
	Late  int64   // messages that had not come by then, counted once a node

	CalmRounds int   // until nothing moved; above calmRounds: never
	Missing    int64 // what live nodes lack after that, counted once a node

	lag       float64
	delivered int64
	calm      bool
}

// Written returns the bytes written to sticks.
func (r *Result) Written() int64 { return r.BundleBytes + r.HaveBytes + r.MergeBytes }

// Overhead returns the bytes written in terms of all messages written once.
func (r *Result) Overhead() float64 {
	return float64(r.Written()) / float64(max(1, onceBytes(r.Messages)))
}

// MissingPart returns which part of all deliveries never happens.
func (r *Result) MissingPart() float64 { return float64(r.Missing) / float64(max(1, r.delivered)) }

// Calm reports whether the nodes came to rest.
func (r *Result) Calm() bool { return r.CalmRounds <= calmRounds }

// String prints the figures.
func (r Result) String() string {
	mb := func(n int64) float64 { return float64(n) / 1e6 }
	return fmt.Sprintf("lag %.2f d (worst %.0f, %d late), written %.1f MB = %.2f × once (bundles %.1f, haves %.1f, merges %.1f), %d bundles placed, %d removed, %d merged, calm after %d rounds, %d missing",
		r.Lag, r.Worst, r.Late, mb(r.Written()), r.Overhead(), mb(r.BundleBytes), mb(r.HaveBytes), mb(r.MergeBytes), r.Bundles, r.Removed, r.Merged, r.CalmRounds, r.Missing)
}
