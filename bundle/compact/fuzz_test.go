package compact_test

import (
	"bytes"
	"testing"

	"github.com/ssbsync/ssbsync/bundle/compact"
	"github.com/ssbsync/ssbsync/spec/ecmajson"
)

// fuzzLimit bounds what a foreign frame may become.
const fuzzLimit = 1 << 20

// FuzzDecode reads foreign contents. What comes out can be encoded again.
func FuzzDecode(f *testing.F) {
	seed := compact.Encode(small(), nil)
	f.Add(seed)
	f.Add(seed[:len(seed)/2])
	f.Add(compact.Encode([]byte("x\n"), nil))
	f.Add([]byte("\x00{}\n"))
	f.Fuzz(func(t *testing.T, contents []byte) {
		lines, err := bounded(t, contents, fuzzLimit)
		if err == nil && (len(lines) == 0 || lines[len(lines)-1] == '\n') {
			back(t, lines)
		}
	})
}

// FuzzLines encodes lines of any kind.
func FuzzLines(f *testing.F) {
	f.Add(small())
	f.Add([]byte("a b  c\n\n \n"))
	f.Fuzz(func(t *testing.T, lines []byte) {
		if len(lines) > 0 && lines[len(lines)-1] != '\n' {
			lines = append(bytes.Clone(lines), '\n')
		}
		back(t, lines)
	})
}

// FuzzMessages encodes messages of any content, between others.
func FuzzMessages(f *testing.F) {
	f.Add(`{"type":"post","text":"one two"}`, `{"type":"vote","vote":{"link":"%AAAA"}}`, int64(7))
	f.Add(`"AAAA.box"`, `"c2VjcmV0.box with \"more\" é"`, int64(-1))
	f.Add(`{"a":"@`+string(bytes.Repeat([]byte("A"), 43))+`=.ed25519"}`, `{"n":1e21,"s":"\ud800\u2028"}`, int64(0))
	f.Fuzz(func(t *testing.T, one, two string, jump int64) {
		a, b := newMaker(one), newMaker(two)
		var lines []byte
		for i, content := range []string{one, two, one, two} {
			canon, err := ecmajson.Compact([]byte(content))
			if err != nil {
				return
			}
			m := a
			if i%2 == 1 {
				m = b
				m.seq += int(jump % 1000)
			}
			lines = append(append(lines, m.next(string(canon))...), '\n')
			lines = append(append(lines, m.next(`{"link":"`+a.id.String()+`"}`)...), '\n')
		}
		back(t, lines)
	})
}
