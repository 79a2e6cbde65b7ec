package refs

import "fmt"

// Kind says what an id names, in the words of ssb-ref.
type Kind string

// The kinds of ids.
const (
	KindFeed    Kind = "feed"
	KindMessage Kind = "msg"
	KindBlob    Kind = "blob"
	KindCloaked Kind = "cloaked"
)

// ID is a Feed, Message, Blob or Cloaked.
type ID interface {
	Kind() Kind
	String() string // the sigil form
	URI() string    // the canonical ssb: URI
}

// ParseID reads the sigil form of an id of any kind.
func ParseID(s string) (ID, error) {
	if s != "" {
		switch s[0] {
		case '@':
			return asID(ParseFeed(s))
		case '&':
			return asID(ParseBlob(s))
		case '%':
			if len(s) == 1+encodedLen+len(cloakedSuffix) {
				return asID(ParseCloaked(s))
			}
			return asID(ParseMessage(s))
		}
	}
	return nil, fmt.Errorf("not an id: %q", s[:min(len(s), maxQuoted)])
}

// asID keeps a failed parse from hiding in a non-nil interface.
func asID[T ID](id T, err error) (ID, error) {
	if err != nil {
		return nil, err
	}
	return id, nil
}

// Kind returns KindFeed.
func (Feed) Kind() Kind { return KindFeed }

// Kind returns KindMessage.
func (Message) Kind() Kind { return KindMessage }

// Kind returns KindBlob.
func (Blob) Kind() Kind { return KindBlob }

// Kind returns KindCloaked.
func (Cloaked) Kind() Kind { return KindCloaked }
