package graph

import (
	"bytes"

	"github.com/ssbsync/ssbsync/spec/ecmajson"
	"github.com/ssbsync/ssbsync/spec/message"
	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/store"
)

// Relation is what one feed says of another.
type Relation int8

// The relations have the values of edges in ssb-friends.
const (
	// None: nothing was ever said.
	None Relation = 0
	// Following: shall be replicated.
	Following Relation = 1
	// Blocking: shall not be replicated.
	Blocking Relation = -1
	// Neutral: a follow or block was taken back.
	Neutral Relation = -2
)

// Edge is what feed From says of feed To.
type Edge struct {
	From, To refs.Feed
	Relation Relation
	Seq      int64 // the message of From that says so
}

// contactText is part of every stored contact message: the stored form spells
// a string in one way only.
var contactText = []byte(`"type":"contact"`)

// parse returns the edge that a stored message makes, if it makes one: its
// content is an object of type contact that names a feed. As in ssb-friends,
// any true value of blocking or of the older flagged blocks, else a following
// of exactly true follows, and anything else takes back what was said before.
func parse(rec *store.Record) (edge Edge, ok bool) {
	if !bytes.Contains(rec.Value, contactText) {
		return Edge{}, false
	}
	view, err := message.Fields(rec.Value)
	if err != nil {
		return Edge{}, false
	}
	edge = Edge{From: rec.Feed, Relation: Neutral, Seq: rec.Seq}
	var contact, following, blocks bool
	err = ecmajson.EachMember(view.Content, func(key, value []byte) bool {
		switch string(key) {
		case `"type"`:
			contact = string(value) == `"contact"`
		case `"contact"`:
			edge.To, ok = parseFeed(value)
		case `"following"`:
			following = string(value) == "true"
		case `"blocking"`, `"flagged"`:
			blocks = blocks || truthy(value)
		}
		return true
	})
	switch {
	case blocks:
		edge.Relation = Blocking
	case following:
		edge.Relation = Following
	}
	return edge, ok && contact && err == nil
}

// parseFeed reads a JSON string that is a feed id.
func parseFeed(value []byte) (refs.Feed, bool) {
	if len(value) < 2 || value[0] != '"' {
		return refs.Feed{}, false
	}
	feed, err := refs.ParseFeed(string(value[1 : len(value)-1]))
	return feed, err == nil
}

// truthy is what ECMAScript takes for true.
func truthy(value []byte) bool {
	switch string(value) {
	case "false", "null", "0", `""`:
		return false
	}
	return true
}
