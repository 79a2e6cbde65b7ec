package message

import (
	"fmt"

	"github.com/ssbsync/ssbsync/spec/keys"
	"github.com/ssbsync/ssbsync/spec/refs"
)

// Result is the outcome for one message of a batch: exactly one field is set.
type Result struct {
	Message *Message
	Err     error
}

// InvalidError says why a text is not a valid message.
type InvalidError struct {
	Feed   refs.Feed // zero when it could not be read
	Seq    int64     // zero when it could not be read
	Reason string
	Units  int // of a text that Create finds too long: more than MaxUnits
}

// Error implements error.
func (e *InvalidError) Error() string {
	if e.Feed.IsZero() {
		return "invalid message: " + e.Reason
	}
	return fmt.Sprintf("feed %s: invalid message %d: %s", e.Feed, e.Seq, e.Reason)
}

// Verify checks one message in any JSON spelling: its form and its signature,
// but not its place in the feed, for which see Head.Next. The error is an
// *InvalidError.
func Verify(raw []byte, net *keys.HMAC) (*Message, error) {
	r := VerifyBatch([][]byte{raw}, net, nil)[0]
	return r.Message, r.Err
}

// VerifyBatch is Verify for many messages, which may be of different feeds
// and in any order; results[i] belongs to raws[i]. The messages do not alias
// raws. With a nil verifier each signature is checked alone. VerifyBatch is
// safe for concurrent use and starts no goroutines.
func VerifyBatch(raws [][]byte, net *keys.HMAC, v *keys.Verifier) []Result {
	b := newBatch(raws, net)
	for i, raw := range raws {
		b.add(i, raw)
	}
	ok := make([]bool, len(b.signed))
	if v != nil {
		v.VerifyBatch(b.signed, ok)
	} else {
		for i := range b.signed {
			ok[i] = keys.Verify(b.signed[i].Feed, b.signed[i].Msg, &b.signed[i].Sig)
		}
	}
	for i, valid := range ok {
		b.settle(i, valid)
	}
	return b.results
}
