// Package blobs is the protocol by which peers find blobs and fetch them from
// each other, as npm ssb-blobs speaks it.
//
// Each side calls blobs.createWants of the other, a source of JSON objects whose
// members are blob ids with a number:
//
//	{"&….sha256": -1}     I want it; −2 for somebody who told me, −3 for one further away
//	{"&….sha256": 4711}   I have it, and it has so many bytes
//
// Who hears that a blob is wanted and has it says so on the stream that the
// other side reads; who has not may want it too, out of sympathy, one hop
// further, up to a bound. A blob is then fetched with blobs.get, and its arrival
// is told to those who want it. A push says −1 of a blob that is here, until
// enough peers have taken it.
//
// # What strangers can do
//
// What a peer wants and claims to have is remembered within Limits; beyond them
// the oldest knowledge goes, or a peer is told of every arrival instead of those
// it asked for. A blob is fetched from one peer at a time and from each peer one
// blob at a time; it may not exceed the size that was claimed for it, nor take
// longer than its size allows; what has another hash is never stored. A peer
// that fails is left alone for a time that doubles.
package blobs
