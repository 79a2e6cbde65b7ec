package refs

import (
	"fmt"
	"strings"
)

// Link is an id as content refers to it: with a query behind it, if any. The
// key of an encrypted blob stands there as "unbox".
type Link struct {
	ID    ID // a Feed, Message or Blob
	Query Query
}

// ParseLink reads "ID" or "ID?QUERY", where the id is that of a feed, message
// or blob.
func ParseLink(s string) (Link, error) {
	if len(s) > maxRef {
		return Link{}, fmt.Errorf("link %q is %d bytes long, more than %d", s[:min(len(s), maxQuoted)], len(s), maxRef)
	}
	text, query, _ := strings.Cut(s, "?")
	id, err := ParseID(text)
	if err != nil {
		return Link{}, err
	}
	if id.Kind() == KindCloaked {
		return Link{}, fmt.Errorf("not a link: cloaked id %q", text)
	}
	return Link{ID: id, Query: parseLinkQuery(query)}, nil
}

// parseLinkQuery reads a query whose unbox key was not escaped, which is how
// everyone writes it: its spaces were plus signs of base64. Like ssb-ref it
// leaves more than one such key alone.
func parseLinkQuery(s string) Query {
	q := parseQuery(s)
	unbox, n := 0, 0
	for i := range q {
		if q[i].Name == "unbox" {
			unbox = i
			n++
		}
	}
	if n == 1 {
		q[unbox].Value = strings.ReplaceAll(q[unbox].Value, " ", "+")
	}
	return q
}

// String returns the id and, behind "?", the query if there is one.
func (l Link) String() string {
	if len(l.Query) == 0 {
		return l.ID.String()
	}
	return l.ID.String() + "?" + l.Query.String()
}
