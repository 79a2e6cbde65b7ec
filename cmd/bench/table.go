package main

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// The rows that other programs share with ssbsync.
const (
	rowLines   = "import of the data set"
	rowNetwork = "replication from another (EBT, loopback)"
	rowLog     = "print all messages"
	rowFeed    = "print the longest feed"
	rowStart   = "start (open the store, `whoami`, end)"
	rowBundle  = "import of a bundle, codec " // and its name
	rowAsk     = "`whoami` of a running server"
	rowStore   = "store on disk"
	rowIndexed = "the same with the indexes for apps"
)

// add adds a row of ours, and says it at once: large data sets take long.
func (b *bench) add(name string, m measure) {
	b.say("%s: %s", name, joined(b.cell(m), perMessage(m.cpu, m.messages), times(m.ofWall), times(m.ofCPU), mebibytes(m.anon)))
	b.rows = append(b.rows, row{name: name, ours: m, others: map[string]measure{}})
}

// beside puts what another program took beside ours.
func (b *bench) beside(name, program string, m measure) {
	i := slices.IndexFunc(b.rows, func(r row) bool { return r.name == name })
	if i < 0 {
		b.rows = append(b.rows, row{name: name, others: map[string]measure{}})
		i = len(b.rows) - 1
	}
	b.rows[i].others[program] = m
}

// print prints what was measured: on which machine, what takes how long, and
// how small things are.
func (b *bench) print(out io.Writer) {
	fmt.Fprintf(out, "%s.\n", b.describe())
	fmt.Fprintf(out, "Std verify-only: %s signatures/s, %s of CPU each.\n\n",
		count(rate(b.set.messages, b.verified.wall)), perMessage(b.verified.cpu, b.set.messages))
	head := []string{"", "ssbsync", "CPU", "× std verify-only", "by CPU", "memory"}
	lines := [][]string{append(head, b.programs...)}
	for _, r := range b.rows {
		m := r.ours
		line := []string{r.name, b.cell(m), perMessage(m.cpu, m.messages), times(m.ofWall), times(m.ofCPU), mebibytes(m.anon)}
		for _, p := range b.programs {
			cell := b.cell(r.others[p])
			if other := r.others[p]; other.wall > 0 {
				cell = joined(cell, perMessage(other.cpu, other.messages), mebibytes(other.anon))
			}
			line = append(line, cell)
		}
		lines = append(lines, line)
	}
	writeTable(out, lines)
	b.printSizes(out)
}

// printSizes prints how small bundles and compressors make the messages.
func (b *bench) printSizes(out io.Writer) {
	if len(b.sizes) == 0 {
		return
	}
	zstd := b.sizeOfZstd()
	lines := [][]string{{"", "size", "of the values", "× `zstd -19`", "CPU", "of JSON a core"}}
	lines = append(lines, []string{"the values, one a line", megabytes(b.set.raw), "100 %", against(b.set.raw, zstd), "", ""})
	for _, s := range b.sizes {
		speed := ""
		if s.took.cpu > 0 {
			speed = fmt.Sprintf("%.0f MB/s", float64(b.set.raw)/1e6/s.took.cpu.Seconds())
		}
		percent := fmt.Sprintf("%.1f %%", 100*float64(s.bytes)/float64(b.set.raw))
		lines = append(lines, []string{s.name, megabytes(s.bytes), percent, against(s.bytes, zstd), duration(s.took.cpu), speed})
	}
	fmt.Fprintln(out)
	writeTable(out, lines)
}

func (b *bench) sizeOfZstd() int64 {
	for _, s := range b.sizes {
		if strings.HasPrefix(s.name, "zstd") {
			return s.bytes
		}
	}
	return 0
}

// cell says what something took: messages a second, a time, or a size.
func (b *bench) cell(m measure) string {
	switch {
	case m.bytes > 0:
		return fmt.Sprintf("%s, %.2f × raw", megabytes(m.bytes), float64(m.bytes)/float64(b.set.raw))
	case m.wall == 0:
		return ""
	case m.messages > 0:
		return count(rate(m.messages, m.wall)) + "/s"
	}
	return duration(m.wall)
}

// describe says what was measured with what on what, and how busy it was.
func (b *bench) describe() string {
	load := ""
	if raw, err := os.ReadFile("/proc/loadavg"); err == nil {
		load = fmt.Sprintf(", load %s", strings.Fields(string(raw))[0])
	}
	return fmt.Sprintf("%s messages of %s feeds, %s of JSON, median of %d rounds; %s, %d cores%s, %s/%s, %s",
		count(float64(b.set.messages)), count(float64(len(b.set.authors))), megabytes(b.set.raw), b.options.rounds,
		processor(), runtime.GOMAXPROCS(0), load, runtime.GOOS, runtime.GOARCH, runtime.Version())
}

// processor is the name of the processor, where that can be read.
func processor() string {
	raw, err := os.ReadFile("/proc/cpuinfo")
	if err == nil {
		for line := range strings.Lines(string(raw)) {
			if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
				return strings.TrimSpace(value)
			}
		}
	}
	return "a processor"
}

// writeTable writes a table in Markdown that can be read as it is.
func writeTable(out io.Writer, lines [][]string) {
	widths := make([]int, len(lines[0]))
	for _, line := range lines {
		for i, cell := range line {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for at, line := range lines {
		for i, cell := range line {
			pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			if i == 0 {
				fmt.Fprintf(out, "| %s%s |", cell, pad)
			} else {
				fmt.Fprintf(out, " %s%s |", pad, cell)
			}
		}
		fmt.Fprintln(out)
		if at > 0 {
			continue
		}
		for i, width := range widths {
			if i == 0 {
				fmt.Fprintf(out, "|%s|", strings.Repeat("-", width+2))
			} else {
				fmt.Fprintf(out, "%s:|", strings.Repeat("-", width+1))
			}
		}
		fmt.Fprintln(out)
	}
}

// joined joins what is known.
func joined(parts ...string) string {
	return strings.Join(slices.DeleteFunc(parts, func(part string) bool { return part == "" }), ", ")
}

func rate(messages int64, d time.Duration) float64 {
	if d <= 0 {
		return 0
	}
	return float64(messages) / d.Seconds()
}

// count prints a number with three digits that count, in groups of three.
func count(f float64) string {
	n := int64(f + 0.5)
	if n >= 100_000 {
		n = (n + 500) / 1000 * 1000
	} else if n >= 10_000 {
		n = (n + 50) / 100 * 100
	}
	text := fmt.Sprint(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

func perMessage(d time.Duration, messages int64) string {
	switch {
	case d == 0:
		return ""
	case messages == 0:
		return duration(d)
	}
	micros := d.Seconds() * 1e6 / float64(messages)
	if micros >= 1000 {
		return fmt.Sprintf("%.2f ms", micros/1000)
	}
	return fmt.Sprintf("%.1f µs", micros)
}

func duration(d time.Duration) string {
	switch {
	case d == 0:
		return ""
	case d < 10*time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	}
	return fmt.Sprintf("%.1f s", d.Seconds())
}

func times(f float64) string {
	if f == 0 {
		return ""
	}
	return fmt.Sprintf("%.2f", f)
}

func mebibytes(n int64) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("%d MiB", n>>20)
}

func megabytes(n int64) string { return fmt.Sprintf("%.2f MB", float64(n)/1e6) }

// against is a size in ratio to another, where there is one.
func against(n, other int64) string {
	if other == 0 {
		return ""
	}
	return fmt.Sprintf("%.2f", float64(n)/float64(other))
}
