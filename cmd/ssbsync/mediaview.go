package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/ssbsync/ssbsync/sync/node"
	"github.com/ssbsync/ssbsync/sync/stick"
)

// mediaView prints events of media. Its methods are called by one goroutine.
type mediaView struct {
	p     *program
	bar   *progress
	asker *asker // nil when nobody can be asked
}

func (p *program) newMediaView() *mediaView { return &mediaView{p: p, bar: p.newProgress()} }

// show prints one event.
func (v *mediaView) show(e node.MediaEvent) {
	if e.Kind == node.MediaProgress {
		v.bar.update(*e.Progress)
		return
	}
	v.bar.end()
	v.print(e)
	if v.asker != nil {
		v.asker.note(e)
	}
}

// end takes what is unfinished off the terminal.
func (v *mediaView) end() { v.bar.end() }

func (v *mediaView) print(e node.MediaEvent) {
	if v.p.json {
		_ = v.p.printLine(e) // the next one will fail as well, and nobody reads it
		return
	}
	text := mediaText(e)
	if text == "" || v.p.quiet && e.Kind != node.MediaDone && e.Kind != node.MediaAsking {
		return
	}
	fmt.Fprintf(v.p.stdout, "%s %s: %s\n", time.UnixMilli(e.Time).Format(time.TimeOnly), e.Label, text)
	if e.Report != nil {
		v.p.explain(&e.Report.Import)
		v.p.explain(&e.Report.Export)
	}
}

// mediaText says what happened, in one line.
func mediaText(e node.MediaEvent) string {
	path := pathText(e.Path)
	switch e.Kind {
	case node.MediaBlank:
		return "no stick of ssbsync: left alone (to make it one: ssbsync enroll " + path + ")"
	case node.MediaUnknown:
		return "a stick that this node does not know: left alone (to use it: ssbsync enroll " + path + ")"
	case node.MediaAsking:
		return "a stick that this node does not know, at " + path
	case node.MediaVisiting:
		return "visiting, at " + path
	case node.MediaDone:
		return doneText(e)
	case node.MediaUnmounted:
		return "gone"
	}
	return ""
}

// doneText says how a visit ended, what stays of it, and whether the stick may
// be pulled.
func doneText(e node.MediaEvent) string {
	var b strings.Builder
	switch e.Result {
	case node.ResultDone:
		b.WriteString("visited: ")
	case node.ResultPartly:
		b.WriteString("visited in part: ")
	case node.ResultFailed:
		b.WriteString("failed: " + printableText(e.Error) + ": ")
	case node.ResultInterrupted:
		b.WriteString("interrupted: ")
	case node.ResultRemoved:
		b.WriteString("removed during the visit: ")
	}
	b.WriteString(movedText(e))
	if e.Seconds > 0 {
		fmt.Fprintf(&b, ", %.1f s", e.Seconds)
	}
	if e.Result != node.ResultDone && e.Result != node.ResultPartly && e.In+e.Out > 0 {
		b.WriteString(", which are kept")
	}
	switch {
	case e.Report != nil && e.Report.ReadOnly:
		b.WriteString(": it takes no writes, so nobody learns there what was taken")
	case e.Safe && e.Report != nil && e.Report.Export.Unverified:
		b.WriteString(": written, not verified")
	}
	switch {
	case e.Safe:
		b.WriteString(": safe to remove")
	case e.Result == node.ResultRemoved:
		b.WriteString(": plug it in again to go on")
	}
	return b.String()
}

// movedText says what a visit moved.
func movedText(e node.MediaEvent) string {
	var in, out stick.Report
	if e.Report != nil {
		in, out = e.Report.Import, e.Report.Export
	}
	text := "nothing new"
	if e.In+e.Out > 0 {
		text = fmt.Sprintf("%s in, %s out", plural(e.In, "message"), grouped(e.Out))
	}
	if in.Blobs+out.Blobs > 0 {
		blobs := fmt.Sprintf("%s in, %s out", plural(in.Blobs, "blob"), grouped(out.Blobs))
		if e.In+e.Out == 0 {
			return blobs
		}
		text += ", " + blobs
	}
	return text
}

// pathText is a path as it can be shown, and typed if it is nothing special.
func pathText(path string) string {
	if printableText(path) == path {
		return path
	}
	return strconv.Quote(path)
}

// printableText replaces what must not reach a terminal.
func printableText(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return utf8.RuneError
	}, s)
}
