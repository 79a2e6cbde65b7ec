package main

import (
	"io"
	"os"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
	"golang.org/x/term"

	"github.com/ssbsync/ssbsync/sync/node"
	"github.com/ssbsync/ssbsync/sync/stick"
)

// progress shows a bar for each phase of a long operation, on a terminal
// only. The nil *progress shows nothing.
type progress struct {
	out   io.Writer
	bars  *mpb.Progress
	bar   *mpb.Bar
	phase stick.Phase
	bytes bool
	began time.Time
}

// newProgress returns a progress on standard error if that is a terminal.
func (p *program) newProgress() *progress {
	file, ok := p.stderr.(*os.File)
	if p.quiet || p.json || !ok || !term.IsTerminal(int(file.Fd())) {
		return nil
	}
	return &progress{out: p.stderr}
}

// phaseText is what people read for a phase.
func phaseText(phase stick.Phase) string {
	switch phase {
	case stick.Scanning:
		return "looking"
	case stick.Reading:
		return "reading"
	case stick.Checking:
		return "checking"
	case stick.Packing:
		return "packing"
	case stick.Writing:
		return "writing"
	}
	return string(phase)
}

// update moves the bar.
func (g *progress) update(now stick.Progress) {
	if g == nil {
		return
	}
	if g.bar == nil || g.phase != now.Phase {
		g.start(now)
	}
	current, total := g.measure(now)
	g.bar.SetTotal(max(total, current+1), false)
	g.bar.SetCurrent(current)
}

// measure chooses between bytes and messages, whichever has a total.
func (g *progress) measure(now stick.Progress) (current, total int64) {
	if g.bytes {
		return now.Bytes, now.TotalBytes
	}
	return now.Messages, now.TotalMessages
}

func (g *progress) start(now stick.Progress) {
	g.end()
	g.phase, g.began = now.Phase, time.Now()
	g.bytes = now.TotalBytes > 0 || now.Bytes > 0
	g.bars = mpb.New(mpb.WithOutput(g.out), mpb.WithWidth(40), mpb.WithRefreshRate(150*time.Millisecond))
	counter := decor.CountersNoUnit(" %d / %d messages")
	if g.bytes {
		counter = decor.CountersKiloByte(" % .1f / % .1f")
	}
	g.bar = g.bars.AddBar(0,
		mpb.BarRemoveOnComplete(),
		mpb.PrependDecorators(decor.Name(phaseText(now.Phase), decor.WC{W: 9, C: decor.DindentRight})),
		mpb.AppendDecorators(counter, decor.Any(g.rate)))
}

// rate is what was really done since the phase began, over the time it took.
func (g *progress) rate(s decor.Statistics) string {
	seconds := time.Since(g.began).Seconds()
	if seconds < 0.5 {
		return ""
	}
	rate := int64(float64(s.Current) / seconds)
	if g.bytes {
		return "  " + bytesText(rate) + "/s"
	}
	return "  " + grouped(rate) + "/s"
}

// end takes the bar off the terminal.
func (g *progress) end() {
	if g == nil || g.bar == nil {
		return
	}
	g.bar.Abort(true)
	g.bars.Wait()
	g.bar = nil
}

// capacityProgress shows the test of a medium as the phases of a visit are
// shown.
func capacityProgress(c *node.CapacityProgress) stick.Progress {
	phase := stick.Writing
	if c.Reading {
		phase = stick.Reading
	}
	return stick.Progress{Phase: phase, Bytes: c.Done, TotalBytes: c.Total}
}
