package main

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"os"
	"slices"
	"strings"
)

// The measures of the drawing, in its units.
const (
	plotWidth = 720
	barLeft   = 250 // where bars begin; their labels stand left of it
	barRoom   = 350 // how long the longest bar is
	barStep   = 22
)

// bar is one bar of a drawing.
type bar struct {
	label string
	value float64
	text  string // the value as it is printed
	ours  bool
}

// chart is bars that share a scale.
type chart struct {
	title string
	bars  []bar
}

// draw writes the drawing of what was measured.
func (b *bench) draw(path string) error {
	return os.WriteFile(path, drawing(b.charts(), b.describe()), 0o644)
}

// charts are what is drawn: how fast each program takes in, replicates and
// reads, and how small the messages become. Speed is by processors' time, so
// that it does not matter who else used the machine.
func (b *bench) charts() []chart {
	var charts []chart
	for _, c := range []struct {
		title string
		rows  []string
	}{
		{"taking messages in, messages a second of one core", append(b.bundleRows(), rowLines)},
		{"replicating over the network, both ends, messages a second of one core", []string{rowNetwork}},
		{"printing all messages, messages a second of one core", []string{rowLog}},
	} {
		chart := chart{title: c.title}
		for _, name := range c.rows {
			chart.bars = append(chart.bars, b.barsOf(name)...)
		}
		charts = append(charts, chart)
	}
	charts = append(charts, b.sizeChart())
	return slices.DeleteFunc(charts, func(c chart) bool { return len(c.bars) == 0 })
}

func (b *bench) bundleRows() (names []string) {
	for _, codec := range b.codecs {
		names = append(names, rowBundle+codecName(codec))
	}
	return names
}

func (b *bench) barsOf(name string) (bars []bar) {
	i := slices.IndexFunc(b.rows, func(r row) bool { return r.name == name })
	if i < 0 {
		return nil
	}
	add := func(label string, m measure, ours bool) {
		if m.messages > 0 && m.cpu > 0 {
			perSecond := rate(m.messages, m.cpu)
			bars = append(bars, bar{label, perSecond, count(perSecond), ours})
		}
	}
	label := "ssbsync"
	if codec, ok := strings.CutPrefix(name, rowBundle); ok {
		label = "ssbsync, bundle (" + codec + ")"
	} else if name == rowLines {
		label = "ssbsync, lines of JSON"
	}
	add(label, b.rows[i].ours, true)
	for _, p := range b.programs {
		add(p, b.rows[i].others[p], false)
	}
	return bars
}

func (b *bench) sizeChart() chart {
	c := chart{title: "size of all messages, MB"}
	c.bars = append(c.bars, bar{"the values as JSON", float64(b.set.raw), megabytes(b.set.raw), false})
	for _, s := range b.sizes {
		c.bars = append(c.bars, bar{s.name, float64(s.bytes), megabytes(s.bytes), strings.HasPrefix(s.name, "bundle")})
	}
	if len(c.bars) == 1 {
		return chart{}
	}
	slices.SortStableFunc(c.bars, func(x, y bar) int { return int(y.value) - int(x.value) })
	return c
}

// style has colours that can be read on light and on dark ground, and better
// ones where the reader's choice is known.
const style = `text{font:13px system-ui,sans-serif;fill:#6e7781}.t{font-weight:600}.s{font-size:11px}` +
	`.o{fill:#2f81f7}.x{fill:#a0a8b0}@media(prefers-color-scheme:dark){text{fill:#c9d1d9}.x{fill:#6e7681}}` +
	`@media(prefers-color-scheme:light){text{fill:#24292f}}`

// drawing is a picture of bars, as SVG.
func drawing(charts []chart, caption string) []byte {
	var body strings.Builder
	y := 0
	for _, c := range charts {
		y += 28
		fmt.Fprintf(&body, `<text class="t" x="10" y="%d">%s</text>`+"\n", y, escaped(c.title))
		y += 10
		longest := slices.MaxFunc(c.bars, func(x, y bar) int { return int(x.value - y.value) }).value
		for _, r := range c.bars {
			width := max(1, barRoom*r.value/longest)
			class := "x"
			if r.ours {
				class = "o"
			}
			fmt.Fprintf(&body, `<text x="%d" y="%d" text-anchor="end">%s</text>`, barLeft-8, y+14, escaped(r.label))
			fmt.Fprintf(&body, `<rect class="%s" x="%d" y="%d" width="%.0f" height="%d" rx="2"/>`, class, barLeft, y+2, width, barStep-6)
			fmt.Fprintf(&body, `<text x="%.0f" y="%d">%s</text>`+"\n", barLeft+width+6, y+14, escaped(r.text))
			y += barStep
		}
	}
	for _, part := range strings.Split(caption, "; ") {
		y += 18
		fmt.Fprintf(&body, `<text class="s" x="10" y="%d">%s</text>`+"\n", y, escaped(part))
	}
	return fmt.Appendf(nil, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" role="img">`+"\n<title>%s</title>\n<style>%s</style>\n%s</svg>\n",
		plotWidth, y+12, "ssbsync and others", style, body.String())
}

func escaped(text string) string {
	var out bytes.Buffer
	_ = xml.EscapeText(&out, []byte(text)) // a buffer takes everything
	return out.String()
}
