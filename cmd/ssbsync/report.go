package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/ssbsync/ssbsync/sync/stick"
)

// maxNamed is how many damaged pieces a report names before it only counts.
const maxNamed = 20

// printReport prints the report of an import or export: a line of text and
// what went wrong, or one JSON object.
func (p *program) printReport(verb string, report *stick.Report) error {
	if p.json {
		return p.printLine(report)
	}
	fmt.Fprintln(p.stdout, summary(verb, report))
	p.explain(report)
	return nil
}

// printLine prints v as one line of JSON.
func (p *program) printLine(v any) error { return printLine(p.stdout, v) }

func printLine(w io.Writer, v any) error {
	line, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("printing the report: %v", err)
	}
	_, err = fmt.Fprintf(w, "%s\n", line)
	return err
}

// summary says in one line what moved.
func summary(verb string, r *stick.Report) string {
	var b strings.Builder
	if r.DryRun {
		verb = "would have " + verb
	}
	fmt.Fprintf(&b, "%s %s", verb, plural(r.Messages, "message"))
	if verb == "imported" {
		fmt.Fprintf(&b, " (%s)", counts(r))
	}
	if r.Feeds > 0 {
		fmt.Fprintf(&b, " of %s", plural(r.Feeds, "feed"))
	}
	if r.Bundles > 0 {
		fmt.Fprintf(&b, " in %s", plural(r.Bundles, "bundle"))
	}
	if r.Bytes > 0 {
		fmt.Fprintf(&b, ", %s", bytesText(r.Bytes))
	}
	if r.Blobs > 0 {
		fmt.Fprintf(&b, ", %s", plural(r.Blobs, "blob"))
	}
	if r.Removed > 0 {
		fmt.Fprintf(&b, ", removed %s (%s) to make room", plural(r.Removed, "bundle"), bytesText(r.Freed))
	}
	if r.Merged > 0 {
		fmt.Fprintf(&b, ", merged %s into one", plural(r.Merged, "small bundle"))
	}
	fmt.Fprintf(&b, ", %.1f s", r.Seconds)
	return b.String()
}

// counts lists what became of imported messages.
func counts(r *stick.Report) string {
	parts := []string{grouped(r.New) + " new"}
	for _, part := range []struct {
		n    int64
		name string
	}{{r.Duplicate, "already here"}, {r.Rejected, "rejected"}, {r.Waiting, "waiting for earlier ones"},
		{r.Refused, "refused"}, {r.Forked, "of forked feeds"}} {
		if part.n > 0 {
			parts = append(parts, grouped(part.n)+" "+part.name)
		}
	}
	return strings.Join(parts, ", ")
}

// explainLosses says how a damaged stick gets whole again.
func (p *program) explainLosses(source string, r *stick.Report) {
	if len(r.Losses) == 0 || p.quiet || p.json || !isFolder(source) {
		return
	}
	path := pathText(source)
	p.hint("leave word of the damage there (ssbsync sync %s), or have it written again where it comes from (ssbsync export --check %s)", path, path)
}

func isFolder(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// explain names on standard error what the summary only counts.
func (p *program) explain(r *stick.Report) {
	for i, loss := range r.Losses {
		if i == maxNamed {
			p.warn("and %d more damaged pieces", len(r.Losses)-i)
			break
		}
		p.warn("%s", lossText(loss))
	}
	for _, skip := range r.Skipped {
		p.warn("%s: not read: %s", pathText(skip.Name), skip.Reason)
	}
	for _, line := range r.Warnings {
		p.warn("%s", line)
	}
	if r.Left > 0 {
		p.warn("no room for %s", plural(r.Left, "message"))
	}
	if r.Unverified {
		p.warn("written, but not verified: this system cannot read back past its cache")
	}
	if !p.quiet {
		for _, line := range r.Hints {
			p.hint("%s", line)
		}
	}
}

// maxSpansNamed is how many pieces of feeds a damaged piece names.
const maxSpansNamed = 3

// lossText names a damaged piece and the messages that were in it.
func lossText(l stick.Loss) string {
	if len(l.Spans) == 0 {
		return fmt.Sprintf("%s: %s", pathText(l.Bundle), l.Reason)
	}
	var lost int64
	var spans []string
	for i, span := range l.Spans {
		lost += span.Len()
		if i < maxSpansNamed {
			spans = append(spans, fmt.Sprintf("%s %d–%d", span.Feed, span.First, span.Last))
		}
	}
	if more := len(l.Spans) - maxSpansNamed; more > 0 {
		spans = append(spans, fmt.Sprintf("and %d more", more))
	}
	return fmt.Sprintf("%s: %s: lost %s: %s", pathText(l.Bundle), l.Reason, plural(lost, "message"), strings.Join(spans, ", "))
}
