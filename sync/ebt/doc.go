// Package ebt is version 3 of epidemic broadcast trees, the protocol by which
// Secure Scuttlebutt peers replicate feeds, as a pure state machine.
//
// A [State] knows what this peer holds and wants and what was said on every
// open session. Events go in (a session opened, notes or a message came, the
// store grew, time passed); what shall be sent comes out of [State.NextNotes]
// and [State.NextSend] whenever a session can be written to. There is no
// I/O, no clock and no goroutine in here, and the same events always lead to
// the same output.
//
// # How the protocol works
//
// The peers of a session tell each other how far they hold each feed they
// want (see [Note]). A note with receive set asks for the messages that
// follow. Every feed is asked of one peer only, its source here; to the
// others we say how far we are, without asking, so that they speak up when
// they are ahead. The asked links form a tree for each feed, along which new
// messages spread; the other links carry short notes and heal the tree when
// a link breaks.
//
// The peer that accepted the connection speaks first. What both sides know
// of each other from their last session is not said again (request skipping);
// see [Memory].
//
// # What is done about known stalls
//
// The driver calls [State.Tick] at an even pace. A source that claims to be
// ahead and brings nothing is replaced by another, or asked again; feeds that
// were skipped, and those in which the other side seems behind, are told
// again in long sessions; a refusal is remembered only as long as nothing
// new could be told; the own feed is always part of the clock.
//
// Source: npm epidemic-broadcast-trees 9 and ssb-ebt 9, with which it must
// interoperate.
package ebt
