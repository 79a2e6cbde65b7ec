package compact

import (
	"bytes"
	"encoding/binary"
)

// content writes the content of a message. What is private is base64 of any
// length before a dot.
func (w *writer) content(text []byte) {
	dot := bytes.IndexByte(text, '.')
	if text[0] != '"' || dot < 5 {
		w.text(text)
		return
	}
	start := len(w.boxes)
	boxes, err := b64.AppendDecode(w.boxes, text[1:dot])
	if err != nil || b64.EncodedLen(len(boxes)-start) != dot-1 {
		w.text(text)
		return
	}
	w.boxes = boxes
	w.pieces(text[:1])
	w.token(tokenBox)
	w.number(uint64(len(boxes) - start))
	w.text(text[dot:])
}

// text writes text with ids in place of their spelling, and its end.
func (w *writer) text(text []byte) {
	for {
		start, k, ok := w.findID(text)
		if !ok {
			break
		}
		w.pieces(text[:start])
		w.token(tokenID + uint64(k))
		w.reference(k, w.key)
		text = text[start+1+idChars+len(kinds[k].suffix):]
	}
	w.pieces(text)
	w.token(tokenEnd)
}

// findID finds the first id in a text, and leaves its bytes in w.key.
func (w *writer) findID(text []byte) (start, k int, ok bool) {
	for from := 0; ; {
		dot := bytes.Index(text[from:], []byte("=."))
		if dot < 0 {
			return 0, 0, false
		}
		from += dot + 1 // the end of the base64
		if start = from - idChars - 1; start < 0 {
			continue
		}
		for k := range kinds {
			if text[start] == kinds[k].sigil && bytes.HasPrefix(text[from:], []byte(kinds[k].suffix)) && w.decodeID(text[start+1:from]) {
				return start, k, true
			}
		}
	}
}

// pieces writes text without ids as words: bytes of words and bytes between
// them in turn. One space between two words goes without saying.
func (w *writer) pieces(text []byte) {
	for at := 0; at < len(text); {
		end := pieceEnd(text, at)
		if at == 0 || end == len(text) || end-at > 1 || text[at] != ' ' {
			w.word(text[at:end])
		}
		at = end
	}
}

// pieceEnd returns where the word, or what is between words, that begins at
// text[at] ends. A letter behind a backslash belongs to no word.
func pieceEnd(text []byte, at int) int {
	if isWord[text[at]] {
		for at++; at < len(text) && isWord[text[at]]; at++ {
		}
		return at
	}
	for at < len(text) && !isWord[text[at]] {
		if text[at] == '\\' {
			at++
		}
		at++
	}
	return min(at, len(text))
}

func (w *writer) word(word []byte) {
	if n, ok := w.known[string(word)]; ok {
		w.token(tokenWord + n)
		return
	}
	w.known[string(word)] = uint64(len(w.known))
	w.token(tokenNew)
	w.words = append(append(w.words, word...), '\n')
}

func (w *writer) token(n uint64) { w.tokens = binary.AppendUvarint(w.tokens, n) }
