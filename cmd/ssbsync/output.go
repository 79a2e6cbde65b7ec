package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
)

// output is standard output. It remembers that it took something no more, such
// as on a full disk: what a command prints is part of its work.
type output struct {
	io.Writer

	mu  sync.Mutex
	err error
}

// Write implements io.Writer.
func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	n, err := o.Writer.Write(b)
	if err != nil && o.err == nil {
		o.err = fmt.Errorf("standard output: %w", err)
	}
	if err != nil {
		err = o.err
	}
	return n, err
}

// failed returns what went wrong first.
func (o *output) failed() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.err
}

// orElse returns with which error a command ends that came to err: what went
// wrong with the output counts unless something worse did.
func (o *output) orElse(err error) error {
	if failed := o.failed(); failed != nil && (err == nil || err == error(errPartly) || errors.Is(err, failed)) {
		return failed
	}
	return err
}

// printJSON prints one result as sbot does: 2-space JSON, or a compact line
// with --json. The text of strings is left as it came.
func (p *program) printJSON(raw json.RawMessage) error {
	var buf bytes.Buffer
	if p.json {
		if err := json.Compact(&buf, raw); err != nil {
			return fmt.Errorf("printing the answer: %v", err)
		}
	} else if err := json.Indent(&buf, raw, "", "  "); err != nil {
		return fmt.Errorf("printing the answer: %v", err)
	}
	buf.WriteByte('\n')
	_, err := p.stdout.Write(buf.Bytes())
	return err
}

// printItem prints one item of a stream: as printJSON, with an empty line
// behind it in the human form.
func (p *program) printItem(raw json.RawMessage) error {
	if err := p.printJSON(raw); err != nil {
		return err
	}
	if p.json {
		return nil
	}
	_, err := p.stdout.Write([]byte{'\n'})
	return err
}

// plural returns "1 message", "2 messages".
func plural(n int64, noun string) string {
	if n == 1 {
		return fmt.Sprintf("1 %s", noun)
	}
	return fmt.Sprintf("%s %ss", grouped(n), noun)
}

// grouped prints n with commas between thousands.
func grouped(n int64) string {
	s := fmt.Sprint(n)
	start := 0
	if n < 0 {
		start = 1
	}
	for i := len(s) - 3; i > start; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// bytesText prints a size in the units that file managers use.
func bytesText(n int64) string {
	switch {
	case n < 1000:
		return fmt.Sprintf("%d bytes", n)
	case n < 1000*1000:
		return fmt.Sprintf("%.1f kB", float64(n)/1e3)
	case n < 1000*1000*1000:
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	}
	return fmt.Sprintf("%.2f GB", float64(n)/1e9)
}
