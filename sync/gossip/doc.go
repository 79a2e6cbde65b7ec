// Package gossip is a peer among peers: it dials and accepts connections, runs
// the replication protocols on them, and decides whom to dial and when.
//
//	listener ─ limits ─ handshake ─ one session a peer ─┬ EBT, or
//	peer book ─ schedule ─ dial ─ handshake ────────────┤ createHistoryStream
//	LAN, invites, pub messages ─ peer book              └ the methods that the node serves
//
// # A session
//
// Every connection is a secret handshake, a box stream and muxrpc over it. The
// side that dialled calls ebt.replicate; where the other has no EBT, and where
// a client does not call within a few seconds, feeds are fetched by
// createHistoryStream instead. What a peer sends goes to an ingest.Intake, if
// its feed is one that we replicate and was asked for; what others are told is
// only what is committed, because it is learnt from the store's receive log.
// To each peer messages are read from the store as it takes them, a small page
// at a time: one that does not read costs some memory until it is cut off, and
// nobody else any time.
//
// There is one session for each identity. When both sides dial each other at
// the same time, the connection that the lower of the two ids opened stays.
// Otherwise the newer one replaces the older, which its peer must have given
// up. Connections with our own identity are apps of the same user: they are
// served, and nothing is replicated over them.
//
// # Whom to dial
//
// Peers on the LAN first, then those named by the user or in an invite and
// those that answered before, then pubs that messages tell of. An address that
// fails is left alone for a time that doubles with each failure. A change of
// the network's addresses lets all be tried again.
package gossip
