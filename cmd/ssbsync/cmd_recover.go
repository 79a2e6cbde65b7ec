package main

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/ssbsync/ssbsync/sync/node"
	"github.com/ssbsync/ssbsync/sync/stick"
)

func (p *program) recoverCommand() *cli.Command {
	return &cli.Command{
		Name:     "recover",
		Category: groupNode,
		Usage:    "say whether your feed is whole, and allow publishing again",
		Description: `When messages signed by your identity turn up that this store lacks (it was restored from a copy, or the identity is
used twice), publishing is locked, because it would fork your feed. Import from every stick and meet every peer that
may have more of it; then --done ends the lock. No program can know whether the very last message was found.

Example:
   ssbsync recover --done`,
		Flags: []cli.Flag{&cli.BoolFlag{Name: "done", Usage: "all that can be fetched was fetched: allow publishing"}},
		Action: func(c *cli.Context) error {
			if err := exactly(c, 0, "recover [--done]"); err != nil {
				return err
			}
			answer, err := p.async(c.Context, "ssbsync.recover", node.RecoverOptions{Done: c.Bool("done")})
			if err != nil {
				return err
			}
			return p.printRecovered(answer, c.Bool("done"))
		},
	}
}

// errStillForked ends a recovery that cannot be.
var errStillForked = errors.New("recover --done cannot undo a fork")

// printRecovered prints the state of the guard. With done it is an error when
// that did not help.
func (p *program) printRecovered(answer json.RawMessage, done bool) error {
	var guard stick.GuardStatus
	if err := json.Unmarshal(answer, &guard); err != nil {
		return fmt.Errorf("reading the answer: %v", err)
	}
	if p.json {
		if err := p.printJSON(answer); err != nil {
			return err
		}
	} else {
		p.printRecovery(&guard)
	}
	if done && guard.Forked {
		return errStillForked
	}
	return nil
}

func (p *program) printRecovery(g *stick.GuardStatus) {
	switch {
	case g.Forked:
		fmt.Fprintln(p.stdout, "your feed is forked: nothing more can be published with this identity")
	case !g.Locked:
		fmt.Fprintln(p.stdout, "publishing is allowed")
	default:
		fmt.Fprintf(p.stdout, "publishing is locked: %s\n", lockText(g))
		for _, asked := range g.Asked {
			fmt.Fprintf(p.stdout, "  asked so far: %s\n", asked)
		}
		p.hint("%s", unlockHint(g))
	}
}

// lockText says why publishing is locked.
func lockText(g *stick.GuardStatus) string {
	if g.Seen == 0 {
		return g.Why()
	}
	return fmt.Sprintf("%s, seen up to %d", g.Why(), g.Seen)
}

// unlockHint says what must be done before the lock is lifted.
func unlockHint(g *stick.GuardStatus) string {
	if g.Reason == stick.LockMoved {
		return "publish from there; only if nobody ever does: ssbsync recover --done"
	}
	return "plug in every stick and meet every peer that may have more of your feed, then: ssbsync recover --done"
}
