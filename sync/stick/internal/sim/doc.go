// Package sim plays people who share sticks: nodes that come by with new
// messages, nodes that die, sticks that get lost, stores that are restored. It
// counts what is written to the sticks and how late messages arrive, and so
// chooses and guards the policy for the space on a medium (spec/stick.md,
// "Policies compared").
//
// What is decided is decided by the code of the program: which messages a
// visit exports, whose visits count, when a have is written and whether as a
// delta, what goes and what is merged. Modelled is what these decisions are
// about. A message is a place in a feed and has a size; bundles are lists of
// runs, of the sizes that bundles of real messages have (sizes.go); a store is
// a vector of sequences. So a year of ten nodes and a thousand feeds takes
// seconds, and the same seed gives the same year.
//
// The world of a [Scenario] is this. Each feed has a home, a node at which its
// messages arrive, at random times; the home of a node's own feed is the node.
// The year is followed by a calm phase without new messages, in which the
// nodes take turns until nothing moves any more.
//
// The clocks of the nodes do not appear: nothing that is decided here takes a
// time. (TestClocksChangeNothing of package stick shows as much of real
// visits.)
package sim
