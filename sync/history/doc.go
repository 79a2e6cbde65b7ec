// Package history is createHistoryStream in both directions: one feed as a
// stream of messages from a sequence on, which every Secure Scuttlebutt peer
// serves, and by which peers replicate that have no better way (see
// [sync/ebt]).
//
// # The call
//
//	createHistoryStream({id, sequence, limit, live, old, keys, values})
//	createHistoryStream(id, sequence, live)
//
//	id        whose feed
//	sequence  the first message, from 1; also seq; 0 or nothing is 1
//	limit     how many messages at most of those that are there; negative or
//	          nothing is all
//	live      true or 1: then send what comes, as it comes
//	old       false: leave out what is there already, and be live
//	keys      false: send no keys
//	values    false: send no values
//
// An item is {"key":ID,"value":MESSAGE,"timestamp":RECEIVED}, or MESSAGE
// without keys, or ID without values. A live stream from past the end sends
// MESSAGE whatever is asked for, as ssb-server does for its peers.
//
// Messages are sent as their author signed them: private ones stay closed.
//
// Source: npm ssb-db 20.4, indexes/clock.js and lib/validators.js; what
// ssb-server 16 was seen to answer.
//
// [sync/ebt]: https://pkg.go.dev/github.com/ssbsync/ssbsync/sync/ebt
package history
