package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"github.com/ssbsync/ssbsync/spec/muxrpc"
	"github.com/ssbsync/ssbsync/sync/node"
	"github.com/ssbsync/ssbsync/sync/stick"
)

// asker asks the user about sticks that the node asks about, one after the
// other.
type asker struct {
	p       *program
	session *muxrpc.Session
	events  chan node.MediaEvent
	lines   chan string
}

// maxQuestions is how many questions may wait for the user.
const maxQuestions = 100

// answers has the user asked, if there is one at a terminal, until the context
// ends.
func (v *mediaView) answers(ctx context.Context, session *muxrpc.Session) {
	file, ok := v.p.stdin.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) || v.p.json {
		return
	}
	a := &asker{p: v.p, session: session, events: make(chan node.MediaEvent, maxQuestions), lines: make(chan string)}
	v.asker = a
	go a.read(ctx, file)
	go a.run(ctx)
}

// note takes notice of an event.
func (a *asker) note(e node.MediaEvent) {
	select {
	case a.events <- e:
	default: // a hundred sticks at once: ssbsync enroll answers too
	}
}

// read hands on what the user types. Nobody can end reading from a terminal:
// the end of the program does.
func (a *asker) read(ctx context.Context, in io.Reader) {
	typed := bufio.NewScanner(in)
	for typed.Scan() {
		select {
		case a.lines <- typed.Text():
		case <-ctx.Done():
			return
		}
	}
}

// run asks the questions in their order. A stick that goes or is visited takes
// its question along.
func (a *asker) run(ctx context.Context) {
	var open []node.MediaEvent
	for {
		var lines chan string // nil while there is no question
		if len(open) > 0 {
			lines = a.lines
		}
		select {
		case <-ctx.Done():
			return
		case e := <-a.events:
			was := len(open) > 0 && open[0].Path == e.Path && e.Kind != node.MediaAsking
			open = withEvent(open, e)
			if len(open) > 0 && (was || e.Kind == node.MediaAsking && len(open) == 1) {
				a.prompt(open[0])
			}
		case line := <-lines:
			if a.answer(ctx, open[0], line) {
				open = open[1:]
			}
			if len(open) > 0 {
				a.prompt(open[0])
			}
		}
	}
}

// withEvent adds a question, or removes one that nobody asks any more.
func withEvent(open []node.MediaEvent, e node.MediaEvent) []node.MediaEvent {
	var rest []node.MediaEvent
	for _, q := range open {
		if q.Path != e.Path {
			rest = append(rest, q)
		}
	}
	if e.Kind == node.MediaAsking {
		rest = append(rest, e)
	}
	return rest
}

func (a *asker) prompt(e node.MediaEvent) {
	fmt.Fprintf(a.p.stderr, "visit %s? [y]es, [a]lways, [n]o: ", e.Label)
}

// answer sends the answer, and reports whether it was one.
func (a *asker) answer(ctx context.Context, e node.MediaEvent, line string) bool {
	o := node.AnswerOptions{Path: e.Path, Stick: &stick.ID{}}
	*o.Stick = e.Stick
	switch strings.ToLower(strings.TrimSpace(line)) {
	case "y", "yes":
		o.Visit = true
	case "a", "always":
		o.Visit, o.Always = true, true
	case "n", "no":
	default:
		return false
	}
	if _, err := a.session.Async(ctx, "ssbsync.stick.answer", o); err != nil && ctx.Err() == nil {
		a.p.warn("%v", err)
	}
	return true
}
