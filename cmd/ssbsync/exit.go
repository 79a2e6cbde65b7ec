package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The exit codes, which the README documents.
const (
	exitDone        = 0
	exitFailed      = 1
	exitUsage       = 2
	exitPartly      = 3 // what was good is stored, what was not is named
	exitInUse       = 4 // another process holds the store
	exitInterrupted = 130
)

// codedError is an error with an exit code of its own.
type codedError struct {
	code int
	err  error
	hint string // the next thing to try, or empty
}

func (e *codedError) Error() string { return e.err.Error() }
func (e *codedError) Unwrap() error { return e.err }

// usageError says that the command line is wrong.
func usageError(format string, args ...any) error {
	return &codedError{code: exitUsage, err: fmt.Errorf(format, args...)}
}

// withHint adds to err what the user can do about it.
func withHint(err error, format string, args ...any) error {
	coded := &codedError{code: exitCode(err), err: err}
	coded.hint = fmt.Sprintf(format, args...)
	return coded
}

// errPartly ends a command whose report already said what was lost.
var errPartly = &codedError{code: exitPartly, err: errors.New("done only partly")}

// partly ends a command that did the rest of its work.
func partly(left string) error { return &codedError{code: exitPartly, err: errors.New(left)} }

// exitCode maps an error to the code the program ends with.
func exitCode(err error) int {
	var coded *codedError
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &coded):
		return coded.code
	case errors.Is(err, context.Canceled):
		return exitInterrupted
	}
	return exitFailed
}

// reportError prints err and its hint for the user.
func reportError(stderr io.Writer, err error) {
	if errors.Is(err, context.Canceled) {
		fmt.Fprintln(stderr, "ssbsync: interrupted: what was stored or written whole is kept")
		return
	}
	tell(stderr, "ssbsync", "%v", err)
	var coded *codedError
	if errors.As(err, &coded) && coded.hint != "" {
		tell(stderr, "hint", "%s", coded.hint)
	}
}

// tell prints a line for the user. Names of files and texts of others may be in
// it: they do not get to command the terminal.
func tell(w io.Writer, what, format string, args ...any) {
	fmt.Fprintf(w, "%s: %s\n", what, harmless(fmt.Sprintf(format, args...)))
}

// harmless escapes control characters, but for those that lay out a text.
func harmless(text string) string {
	var b strings.Builder
	for len(text) > 0 {
		r, size := utf8.DecodeRuneInString(text)
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, text[0])
		case unicode.IsControl(r) && r != '\n' && r != '\t':
			fmt.Fprintf(&b, `\x%02x`, r)
		default:
			b.WriteString(text[:size])
		}
		text = text[size:]
	}
	return b.String()
}
