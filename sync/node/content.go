package node

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/ssbsync/ssbsync/spec/ecmajson"
)

// checkContent refuses content that no message may have, in the words of
// ssb-server (npm ssb-validate 4 and ssb-db 20). What else is wrong is for
// message.Create to say.
func checkContent(content json.RawMessage) error {
	content = bytes.TrimSpace(content)
	switch {
	case falsy(content):
		return missing(0)
	case content[0] == '"' && isBox(content):
		return nil
	case content[0] != '{':
		return errors.New("invalid message content, must be object or encrypted string")
	}
	members, ok := object(content)
	if !ok {
		return usage("the content is not JSON")
	}
	return checkType(members["type"])
}

// isBox reports whether content may be a private message in the eyes of
// ssb-validate; message.Create looks closer.
func isBox(content []byte) bool { return bytes.Contains(content, []byte(".box")) }

// checkType checks the type of content: a string of 3 to 52 units.
func checkType(raw json.RawMessage) error {
	was := "undefined"
	if len(raw) > 0 {
		was = string(raw)
	}
	var typ string
	if len(raw) > 0 && raw[0] == '"' && json.Unmarshal(raw, &typ) == nil {
		if n := ecmajson.UTF16Len([]byte(typ)); n >= 3 && n <= 52 {
			return nil
		}
		was = typ
	}
	return fmt.Errorf("type must be a string3 <= type.length < 52, was:%.200s", was)
}
