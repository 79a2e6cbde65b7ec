package node

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
)

// maxItem bounds the text of one message in a JSON source, in bytes: a
// message of 8,192 units whose every character is escaped, indented, inside
// {key,value,timestamp}, with room to spare.
const maxItem = 256 << 10

// jsonItem is one top-level JSON value of a source.
type jsonItem struct {
	line int64  // the line it starts on, counted from 1
	text []byte // valid until the next call
	err  error  // why it is no JSON object, text is nil then
}

// jsonSource cuts a stream of JSON objects into its items: one object a line,
// or indented over several lines as `ssb-server log` prints them, with or
// without empty lines between. An object that is cut short or too long is
// reported and the next one that starts at the left margin is read again, so
// that a damaged line loses only itself.
type jsonSource struct {
	in   *bufio.Reader
	line int64 // lines read so far
	next []byte
	buf  []byte
}

// newJSONSource returns a source that reads r; a byte order mark in front,
// which editors on Windows write, is skipped.
func newJSONSource(r io.Reader) *jsonSource {
	in := bufio.NewReaderSize(r, maxItem)
	if mark, _ := in.Peek(3); string(mark) == "\ufeff" { // a short source shows later
		in.Discard(len(mark))
	}
	return &jsonSource{in: in}
}

// Next returns the next item, io.EOF at the end, or the source's error.
func (s *jsonSource) Next() (jsonItem, error) {
	line, err := s.skipBlank()
	if err != nil {
		return jsonItem{}, err
	}
	start := s.line
	if line == nil {
		return jsonItem{line: start, err: errItemTooLong}, nil
	}
	if line[0] != '{' {
		return jsonItem{line: start, err: fmt.Errorf("not a JSON object: %.40q", bytes.TrimSpace(line))}, nil
	}
	depth := newDepth()
	if depth.scan(line) {
		return jsonItem{line: start, text: line}, nil
	}
	s.buf = append(s.buf[:0], line...)
	return s.collect(start, depth)
}

var (
	errItemTooLong = errors.New("longer than any message can be")
	errItemCut     = errors.New("cut short")
)

// collect reads the further lines of an object that starts on line start.
func (s *jsonSource) collect(start int64, depth *depth) (jsonItem, error) {
	for {
		line, err := s.readLine()
		switch {
		case errors.Is(err, io.EOF):
			return jsonItem{line: start, err: errItemCut}, nil
		case err != nil:
			return jsonItem{}, err
		case line == nil || len(s.buf)+len(line) > maxItem:
			s.skipToMargin()
			return jsonItem{line: start, err: errItemTooLong}, nil
		case line[0] == '{':
			s.unread(line)
			return jsonItem{line: start, err: errItemCut}, nil
		}
		s.buf = append(s.buf, line...)
		if depth.scan(line) {
			return jsonItem{line: start, text: s.buf}, nil
		}
	}
}

// skipToMargin drops lines until one starts an object at the left margin.
func (s *jsonSource) skipToMargin() {
	for {
		line, err := s.readLine()
		if err != nil {
			return
		}
		if line != nil && line[0] == '{' {
			s.unread(line)
			return
		}
	}
}

// skipBlank returns the first line that is not blank, nil when it was too
// long to hold.
func (s *jsonSource) skipBlank() ([]byte, error) {
	for {
		line, err := s.readLine()
		if err != nil {
			return nil, err
		}
		if line == nil || len(bytes.TrimSpace(line)) > 0 {
			return line, nil
		}
	}
}

// unread makes line the next one that readLine returns.
func (s *jsonSource) unread(line []byte) {
	s.next = append([]byte(nil), line...)
	s.line--
}

// readLine returns the next line with its end, or nil for a line that is
// longer than maxItem, which it skips.
func (s *jsonSource) readLine() ([]byte, error) {
	if s.next != nil {
		line := s.next
		s.next = nil
		s.line++
		return line, nil
	}
	line, err := s.in.ReadSlice('\n')
	s.line++
	if err == nil || errors.Is(err, io.EOF) && len(line) > 0 {
		return line, nil
	}
	if !errors.Is(err, bufio.ErrBufferFull) {
		return nil, err
	}
	for errors.Is(err, bufio.ErrBufferFull) {
		_, err = s.in.ReadSlice('\n')
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return nil, nil
}

// depth follows how deep a JSON text is nested, over several lines.
type depth struct {
	open     int
	inString bool
	escaped  bool
}

func newDepth() *depth { return new(depth) }

// scan reads one more line and reports whether the value is complete.
func (d *depth) scan(line []byte) bool {
	for _, c := range line {
		switch {
		case d.escaped:
			d.escaped = false
		case d.inString:
			d.escaped = c == '\\'
			d.inString = c != '"'
		case c == '"':
			d.inString = true
		case c == '{' || c == '[':
			d.open++
		case c == '}' || c == ']':
			d.open--
		}
	}
	return d.open <= 0 && !d.inString
}

// unwrap returns the message value inside {key,value,timestamp}, or text
// itself when it is a bare value. Only the top level is looked at; whether
// the value is a message is for ingest to say.
func unwrap(text []byte) []byte {
	i := skipSpace(text, 0) + 1 // behind the brace
	for i < len(text) {
		i = skipSpace(text, i)
		if i >= len(text) || text[i] != '"' {
			return text
		}
		end := stringEnd(text, i)
		key := text[i:end]
		i = skipSpace(text, end)
		if i >= len(text) || text[i] != ':' {
			return text
		}
		start := skipSpace(text, i+1)
		i = valueEnd(text, start)
		if string(key) == `"value"` && start < len(text) && text[start] == '{' {
			return text[start:i]
		}
		i = skipSpace(text, i)
		if i >= len(text) || text[i] != ',' {
			return text
		}
		i++
	}
	return text
}

func skipSpace(text []byte, i int) int {
	for i < len(text) && (text[i] == ' ' || text[i] == '\t' || text[i] == '\n' || text[i] == '\r') {
		i++
	}
	return i
}

// valueEnd returns the index behind the JSON value that starts at i.
func valueEnd(text []byte, i int) int {
	open := 0
	for i < len(text) {
		switch text[i] {
		case '"':
			i = stringEnd(text, i)
			if open == 0 {
				return i
			}
			continue
		case '{', '[':
			open++
		case '}', ']':
			if open--; open < 0 {
				return i
			}
			if open == 0 {
				return i + 1
			}
		case ',':
			if open == 0 {
				return i
			}
		}
		i++
	}
	return i
}
