package message

import (
	"errors"

	"github.com/ssbsync/ssbsync/spec/keys"
)

// Result is the outcome for one message of a batch: exactly one field is set.
type Result struct {
	Message *Message
	Err     error
}

// Verify checks one message in any JSON spelling.
func Verify(raw []byte, net *keys.HMAC) (*Message, error) {
	return nil, errors.New("under construction")
}

// VerifyBatch checks many messages.
func VerifyBatch(raws [][]byte, net *keys.HMAC, v *keys.Verifier) []Result {
	results := make([]Result, len(raws))
	for i, raw := range raws {
		results[i].Message, results[i].Err = Verify(raw, net)
	}
	return results
}
