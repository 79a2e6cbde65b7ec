package message

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"math"
	"strconv"

	"github.com/ssbsync/ssbsync/spec/ecmajson"
	"github.com/ssbsync/ssbsync/spec/keys"
)

// Create makes the message that follows head in pair's feed and verifies it.
// Content is JSON in any spelling: an object, or a string that is a private
// box. Timestamp is in milliseconds since 1970; the caller sees to it that it
// exceeds the one before.
//
// It creates only what every known implementation accepts: where Verify is
// more tolerant (see the table of choices in spec/README.md), an
// *InvalidError says so.
func Create(pair *keys.Pair, head Head, content []byte, timestamp float64, net *keys.HMAC) (*Message, error) {
	if head.Feed != pair.Feed() {
		return nil, fmt.Errorf("creating message of %s after head of feed %s", pair.Feed(), head.Feed)
	}
	refuse := func(reason string) (*Message, error) {
		return nil, &InvalidError{Feed: head.Feed, Seq: head.Seq + 1, Reason: reason}
	}
	content, err := ecmajson.Compact(content)
	if err != nil {
		return refuse("content: " + err.Error())
	}
	if reason := strictFault(content); reason != "" {
		return refuse(reason)
	}
	if math.IsNaN(timestamp) || math.IsInf(timestamp, 0) {
		return refuse("the timestamp is no number")
	}
	value := appendUnsigned(nil, head, content, timestamp)
	signed, err := ecmajson.Indent(append(value, '}'))
	if err != nil {
		return refuse(err.Error())
	}
	if units := createdUnits(signed); units > MaxUnits {
		return nil, &InvalidError{Feed: head.Feed, Seq: head.Seq + 1, Reason: tooLong, Units: units}
	}
	sig := pair.Sign(net.Payload(signed))
	value = append(value, `,"signature":"`...)
	value = base64.StdEncoding.AppendEncode(value, sig[:])
	value = append(value, `.sig.ed25519"}`...)
	return Verify(value, net)
}

// createdUnits returns the length in UTF-16 units of the message whose unsigned
// text is given. As ssb-validate does, which looks before it signs and again
// afterwards, it leaves the signature out if the rest is too long already.
func createdUnits(signed []byte) int {
	const signature = ",\n  \"signature\": \"\"" + ".sig.ed25519"
	units := ecmajson.UTF16Len(signed)
	if units <= MaxUnits {
		units += len(signature) + base64.StdEncoding.EncodedLen(64)
	}
	return units
}

// appendUnsigned appends the message's compact text without signature and
// closing bracket, with author and sequence in ssb-validate's order.
func appendUnsigned(dst []byte, head Head, content []byte, timestamp float64) []byte {
	dst = append(dst, `{"previous":null`...)
	if head.Seq > 0 {
		dst = fmt.Appendf(dst[:len(dst)-len("null")], `"%s"`, head.ID)
	}
	dst = strconv.AppendInt(append(dst, `,"sequence":`...), head.Seq+1, 10)
	dst = fmt.Appendf(dst, `,"author":"%s"`, head.Feed)
	dst = ecmajson.AppendNumber(append(dst, `,"timestamp":`...), timestamp)
	dst = append(dst, `,"hash":"sha256","content":`...)
	return append(dst, content...)
}

// strictFault says why some implementation would refuse content, in canonical
// spelling, that Verify takes; it is empty if none would.
func strictFault(content []byte) string {
	if reason := contentFault(content); reason != "" {
		return reason
	}
	if content[0] == '"' && !bytes.HasSuffix(content, []byte(`.box"`)) && !bytes.HasSuffix(content, []byte(`.box2"`)) {
		return "the content is a string that does not end with .box or .box2"
	}
	if hasLoneSurrogate(content) {
		return "the content has half a surrogate pair"
	}
	return ""
}

// hasLoneSurrogate looks for \ud800 to \udfff in canonical JSON.
func hasLoneSurrogate(text []byte) bool {
	for {
		i := bytes.IndexByte(text, '\\')
		if i < 0 {
			return false
		}
		if text[i+1] == 'u' && text[i+2] == 'd' {
			return true
		}
		text = text[i+2:]
	}
}
