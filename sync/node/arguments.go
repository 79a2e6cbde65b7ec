package node

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/ssbsync/ssbsync/spec/muxrpc"
	"github.com/ssbsync/ssbsync/spec/refs"
)

// The checks in this file say what is wrong with arguments in the words of npm
// muxrpc-validation and of ssb-db's validators, mistakes included: programs
// compare them.

// argument returns the text of an argument of a call, counted from 0, or nil.
func argument(c *muxrpc.Call, i int) json.RawMessage {
	var all []json.RawMessage
	if json.Unmarshal(c.Args, &all) != nil || i >= len(all) {
		return nil
	}
	return all[i]
}

// falsy reports whether JavaScript takes a value for false.
func falsy(raw json.RawMessage) bool {
	switch text := string(bytes.TrimSpace(raw)); text {
	case "", "null", "false", `""`, "0", "-0", "0.0":
		return true
	}
	return false
}

func missing(n int) error { return usage("Param %d is required", n) }

func wrongType(n int, typ string) error {
	return &muxrpc.RemoteError{Name: "TypeError", Message: fmt.Sprintf("Param %d must by of type %s", n, typ)}
}

func missingAttr(name, typ string) error {
	return usage("Param 0 must have a .%s of type %q", name, typ)
}

// wrongAttr has its words in the order in which ssb-db puts them.
func wrongAttr(name, typ string) error { return usage(".0 of param %s must be of type %q", name, typ) }

// object returns the members of a value, or false when it is no object. As in
// JavaScript an array is one.
func object(raw json.RawMessage) (map[string]json.RawMessage, bool) {
	var members map[string]json.RawMessage
	text := bytes.TrimSpace(raw)
	if len(text) > 0 && text[0] == '[' {
		return nil, true
	}
	return members, json.Unmarshal(text, &members) == nil && members != nil
}

// checkStream checks the options that all read streams have; typ is the name of
// the whole.
func checkStream(raw json.RawMessage, typ string) error {
	members, ok := object(raw)
	if !ok {
		return wrongType(0, typ)
	}
	return checkMembers(members, "live", "reverse", "keys", "values", "limit", "fillCache")
}

// checkMembers checks that members are boolean, or numbers as limit and seq.
func checkMembers(members map[string]json.RawMessage, names ...string) error {
	for _, name := range names {
		value := members[name]
		if falsy(value) {
			continue
		}
		number := strings.IndexByte("-0123456789", value[0]) >= 0
		switch {
		case name == "limit" || name == "seq":
			if !number {
				return wrongAttr(name, "number")
			}
		case !number && string(value) != "true":
			return wrongAttr(name, "boolean")
		}
	}
	return nil
}

// checkLinks checks the argument of links.
func checkLinks(raw json.RawMessage) error {
	members, ok := object(raw)
	if !ok {
		return wrongType(0, "linksOpts")
	}
	for _, name := range []string{"source", "dest"} {
		var link string
		if falsy(members[name]) {
			continue
		}
		if json.Unmarshal(members[name], &link) != nil || !isFilter(link) && !isLink(link) {
			return wrongAttr(name, "id|filter")
		}
	}
	if rel := members["rel"]; !falsy(rel) && rel[0] != '"' {
		return wrongAttr("rel", "string")
	}
	return checkMembers(members, "live", "reverse", "keys", "values")
}

// isFilter reports whether s stands for all ids of a kind.
func isFilter(s string) bool {
	switch s {
	case "@", "%", "&", "feed", "msg", "blob":
		return true
	}
	return false
}

// isLink reports whether s is an id, with or without a query.
func isLink(s string) bool {
	id, _, _ := strings.Cut(s, "?")
	_, err := refs.ParseID(id)
	return err == nil
}

// word is a string; anything else is none. Most streams have no use for it, and
// in ssb-server do not look at it.
type word string

// UnmarshalJSON never fails.
func (w *word) UnmarshalJSON(raw []byte) error {
	var text string
	_ = json.Unmarshal(raw, &text)
	*w = word(text)
	return nil
}

// feedOf returns the feed that a value is, and whether it is one.
func feedOf(raw json.RawMessage) (feed refs.Feed, ok bool) {
	err := json.Unmarshal(raw, &feed)
	return feed, err == nil && !falsy(raw)
}

// feedParam reads the first argument of a call as a feed id.
func feedParam(c *muxrpc.Call) (refs.Feed, error) {
	raw := argument(c, 0)
	if falsy(raw) {
		return refs.Feed{}, missing(0)
	}
	var feed refs.Feed
	if json.Unmarshal(raw, &feed) != nil {
		return refs.Feed{}, wrongType(0, "feedId")
	}
	return feed, nil
}

// jsonNull answers null, where no value would be false.
var jsonNull = json.RawMessage("null")
