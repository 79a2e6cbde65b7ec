package views

import (
	"bytes"
	"encoding/json"
	"strings"

	"github.com/ssbsync/ssbsync/spec/ecmajson"
	"github.com/ssbsync/ssbsync/spec/refs"
)

// The kinds of terms: the first byte of a term.
const (
	kindType    = 't' // the type; postings have the claimed time
	kindAuthor  = 'a' // author and type; with the claimed time
	kindRoot    = 'r' // the root; with the claimed time
	kindChannel = 'c' // the channel, as it is spelt
	kindLink    = 'l' // what is linked to, a zero byte, the type; with the resolved time
	kindWord    = 'w' // a word of the text
)

// cut is how many bytes of a text a term keeps: enough to tell ids apart, of
// which it is a sigil and 186 bits.
const cut = 32

// Term is something that messages have. The zero value is in none.
type Term struct {
	key    string // kind and text
	prefix bool   // everything that begins with key
}

// Type is the term of the messages of a type; text is spelt as in JSON, without
// quotes.
func Type(text []byte) Term { return Term{key: string(term(kindType, text))} }

// ByAuthor is the term of the messages of a type by an author.
func ByAuthor(author refs.Feed, typ []byte) Term {
	return Term{key: string(authorTerm(author, typ))}
}

// Root is the term of the messages whose content has a root.
func Root(text []byte) Term { return Term{key: string(term(kindRoot, text))} }

// Channel is the term of the messages whose content has a channel.
func Channel(text []byte) Term { return Term{key: string(term(kindChannel, text))} }

// Link is the term of the messages that link to something: an id, or a channel
// with its #. With a type it is that of the messages of the type.
func Link(dest, typ []byte) Term {
	if typ == nil {
		return Term{key: string(append(term(kindLink, dest), 0)), prefix: true}
	}
	return Term{key: string(linkTerm(dest, typ))}
}

func term(kind byte, text []byte) []byte {
	return append([]byte{kind}, text[:min(len(text), cut)]...)
}

func authorTerm(author refs.Feed, typ []byte) []byte {
	return append(append([]byte{kindAuthor}, author[:cut/2]...), typ[:min(len(typ), cut)]...)
}

func linkTerm(dest, typ []byte) []byte {
	return append(append(term(kindLink, dest), 0), typ[:min(len(typ), cut)]...)
}

// timed reports whether the postings of a term have a time.
func timed(key byte) bool { return key != kindWord && key != kindChannel }

// stringIn returns the text of a member that is a string, as it is spelt in
// JSON without quotes, or nil.
func stringIn(object []byte, name string) []byte {
	if value := ecmajson.Get(object, name); len(value) >= 2 && value[0] == '"' {
		return value[1 : len(value)-1]
	}
	return nil
}

// EachLink calls yield with everything that content links to, each once: the
// strings in it, at any depth, that are ids or channels, and what is its
// channel, as npm ssb-backlinks finds them.
func EachLink(content []byte, yield func(dest []byte)) {
	seen := map[string]bool{}
	one := func(dest []byte) {
		if len(dest) > 0 && !seen[string(dest)] {
			seen[string(dest)] = true
			yield(dest)
		}
	}
	_ = ecmajson.EachMember(content, func(key, value []byte) bool { // canonical: no error
		in := linkIn
		if string(key) == `"channel"` {
			in = channelIn
		}
		EachString(value, func(text []byte) { one(in(text)) })
		return true
	})
}

// EachString calls yield with each string that a value is or has, as it is
// spelt in canonical JSON without quotes; keys of members are none.
func EachString(value []byte, yield func(text []byte)) {
	for i := 0; i < len(value); i++ {
		if value[i] != '"' {
			continue
		}
		end := i + 1
		for end < len(value) && value[end] != '"' {
			if value[end] == '\\' {
				end++
			}
			end++
		}
		if end >= len(value) {
			return
		}
		if end+1 == len(value) || value[end+1] != ':' {
			yield(value[i+1 : end])
		}
		i = end
	}
}

// linkIn returns what a string links to, or nil.
func linkIn(text []byte) []byte {
	if len(text) < 2 {
		return nil
	}
	switch text[0] {
	case '@', '%', '&':
		if len(text) > 45 && isID(string(text)) {
			return text
		}
	case '#':
		if len(text) > 6*32 {
			return nil
		}
		return tagLink(inString(text))
	}
	return nil
}

// tagLink returns what a text that begins with # links to, or nil.
func tagLink(text string) []byte {
	if ecmajson.UTF16Len([]byte(text)) >= 30 || strings.ContainsFunc(text[1:], isSpaceOrHash) {
		return nil
	}
	if name := NormalChannel(text[1:]); name != "" {
		return []byte("#" + name)
	}
	return []byte("#null") // the words of ssb-backlinks
}

// channelIn returns what a string of the channel of a message links to, or nil.
func channelIn(text []byte) []byte {
	if len(text) <= 6*64 {
		if name := NormalChannel(inString(text)); name != "" {
			return tagLink("#" + name)
		}
	}
	return linkIn(text)
}

// inString returns the text that is spelt so between quotes.
func inString(spelt []byte) string {
	return unquote(append(append([]byte{'"'}, spelt...), '"'))
}

// isID reports whether text is an id, or that of a cloaked message.
func isID(text string) bool {
	if sigil, cloaked := strings.CutSuffix(text, ".cloaked"); cloaked {
		_, err := refs.ParseID(sigil + ".sha256")
		return err == nil && text[0] == '%'
	}
	_, err := refs.ParseID(text)
	return err == nil
}

func unquote(value []byte) (text string) {
	_ = json.Unmarshal(value, &text) // canonical: no error
	return text
}

// channelMarks are what a channel does not have, beside white space.
const channelMarks = `,.?!<>()[]"#`

// NormalChannel returns a channel in its normal form, as npm ssb-ref has it:
// lower case, no marks, at most 30 characters; or nothing.
func NormalChannel(text string) string {
	text = strings.Map(func(r rune) rune {
		if isSpace(r) || strings.ContainsRune(channelMarks, r) {
			return -1
		}
		return r
	}, strings.ToLower(text))
	if runes := []rune(text); len(runes) > 30 {
		text = string(runes[:30])
	}
	return text
}

// isSpace reports whether r is white space to JavaScript.
func isSpace(r rune) bool {
	return bytes.ContainsRune([]byte("\t\n\v\f\r \u00a0\u1680\u2028\u2029\u202f\u205f\u3000\ufeff"), r) || r >= 0x2000 && r <= 0x200a
}

func isSpaceOrHash(r rune) bool { return r == '#' || isSpace(r) }
