package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/ssbsync/ssbsync/bundle"
	"github.com/ssbsync/ssbsync/spec/keys"
	"github.com/ssbsync/ssbsync/spec/message"
)

func (p *program) verifyCommand() *cli.Command {
	return &cli.Command{
		Name:      "verify",
		Category:  groupCarry,
		Usage:     "check a bundle to its last byte, and every message in it",
		ArgsUsage: "FILE|FOLDER|-…",
		Description: `Reads a bundle whole: the signature of its manifest, the hash of every frame, the form and the signature of every
message. What is damaged is named. It needs no home folder; for a closed network give its hmac key.

Example:
   ssbsync verify /media/me/STICK`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "sign-cap", Usage: "the hmac `KEY` of a closed network (caps.sign in its config)"},
			&cli.BoolFlag{Name: "frames-only", Usage: "check the container, not the messages in it"},
		},
		Action: p.verify,
	}
}

// verified is the report of one bundle. The keys are those of other reports.
type verified struct {
	File     string               `json:"file"`
	Name     string               `json:"name"`
	Messages int64                `json:"messages"`
	Rejected int64                `json:"rejected"`
	Blobs    int                  `json:"blobs"`
	Bytes    int64                `json:"bytes"`
	Damage   []*bundle.FrameError `json:"damaged"`
	OK       bool                 `json:"ok"`
}

func (p *program) verify(c *cli.Context) error {
	if c.NArg() == 0 {
		return usageError("usage: ssbsync verify FILE|FOLDER|-…")
	}
	if err := noneEmpty(c); err != nil {
		return err
	}
	var net *keys.HMAC
	if text := c.String("sign-cap"); text != "" {
		var err error
		if net, err = keys.ParseHMAC(text); err != nil {
			return usageError("--sign-cap: %v", err)
		}
	}
	bad := false
	check := messageChecker(net, p)
	if c.Bool("frames-only") {
		check = nil
	}
	err := p.eachBundle(c.Args().Slice(), func(name string, r *bundle.Reader) error {
		report, err := p.verifyOne(c.Context, name, r, check)
		bad = bad || !report.OK
		if err != nil {
			return err
		}
		return p.printVerified(report)
	})
	if err == nil && bad {
		return errPartly
	}
	return err
}

func (p *program) verifyOne(ctx context.Context, name string, r *bundle.Reader, check func(name string, lines []byte) int64) (verified, error) {
	v := verified{File: name}
	if check != nil {
		if err := readable(r); err != nil {
			return v, err
		}
	}
	var visit func(int, []byte) error
	if check != nil {
		visit = func(_ int, lines []byte) error {
			v.Rejected += check(name, lines)
			return nil
		}
	}
	report, err := r.Verify(ctx, visit)
	v.Name, v.Messages, v.Blobs, v.Bytes, v.Damage = report.Name, int64(report.Messages), report.Blobs, report.Bytes, report.Damage
	v.OK = err == nil && len(v.Damage) == 0 && v.Rejected == 0
	return v, err
}

// messageChecker returns a function that verifies the messages of a frame and
// returns how many are bad, after naming the first of them.
func messageChecker(net *keys.HMAC, p *program) func(string, []byte) int64 {
	verifier := keys.NewVerifier()
	named := 0
	return func(name string, lines []byte) (bad int64) {
		var raws [][]byte
		for line := range bundle.Lines(lines) {
			raws = append(raws, line)
		}
		for _, result := range message.VerifyBatch(raws, net, verifier) {
			if result.Err == nil {
				continue
			}
			bad++
			if named++; named <= maxNamed {
				p.warn("%s: %v", pathText(name), result.Err)
			}
		}
		return bad
	}
}

func (p *program) printVerified(v verified) error {
	if p.json {
		return p.printLine(v)
	}
	for _, damage := range v.Damage {
		p.warn("%s: %v", pathText(v.File), damage)
	}
	verdict := "ok"
	if !v.OK {
		verdict = "damaged: " + strings.Join(faults(v), ", ")
	}
	_, err := fmt.Fprintf(p.stdout, "%s: %s, %s: %s\n", pathText(v.File), plural(v.Messages, "message"), bytesText(v.Bytes), verdict)
	return err
}

// faults counts what is wrong with a bundle.
func faults(v verified) []string {
	var list []string
	if n := len(v.Damage); n > 0 {
		list = append(list, plural(int64(n), "part")+" lost")
	}
	if v.Rejected > 0 {
		list = append(list, plural(v.Rejected, "bad message"))
	}
	return list
}
