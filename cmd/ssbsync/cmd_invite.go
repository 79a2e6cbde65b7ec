package main

import (
	"encoding/json"
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/ssbsync/ssbsync/sync/node"
)

func (p *program) inviteCommand() *cli.Command {
	return &cli.Command{
		Name:     "invite",
		Category: groupNet,
		Usage:    "invite others to this server, or accept an invite",
		Description: `An invite is a code that lets its holder be followed by a server, so that the server passes on what they write.

Examples:
   ssbsync invite create --uses 5
   ssbsync invite accept CODE`,
		Subcommands: []*cli.Command{p.inviteCreateCommand(), p.inviteAcceptCommand()},
	}
}

func (p *program) inviteCreateCommand() *cli.Command {
	return &cli.Command{
		Name:  "create",
		Usage: "print a new invite code",
		Description: `Prints a code by which others are followed by the running server. Keep it from those who are not invited.

Example:
   ssbsync invite create --uses 5 --external pub.example.com`,
		Flags: []cli.Flag{
			&cli.IntFlag{Name: "uses", Value: 1, Usage: "how many may use it"},
			&cli.StringFlag{Name: "note", Usage: "a `TEXT` for the messages that follow them"},
			&cli.StringFlag{Name: "external", Usage: "the `HOST` by which guests reach this server"},
		},
		Action: func(c *cli.Context) error {
			if err := exactly(c, 0, "invite create [--uses N] [--note TEXT] [--external HOST]"); err != nil {
				return err
			}
			if c.Int("uses") < 1 {
				return usageError("--uses: %d is below 1", c.Int("uses"))
			}
			answer, err := p.async(c.Context, "invite.create", node.InviteOptions{Uses: c.Int("uses"), Note: c.String("note"), External: c.String("external")})
			if err != nil {
				return err
			}
			if p.json {
				return p.printJSON(answer)
			}
			var code string
			if err := json.Unmarshal(answer, &code); err != nil {
				return fmt.Errorf("reading the answer: %v", err)
			}
			_, err = fmt.Fprintln(p.stdout, code)
			return err
		},
	}
}

func (p *program) inviteAcceptCommand() *cli.Command {
	return &cli.Command{
		Name:      "accept",
		Usage:     "use an invite code",
		ArgsUsage: "CODE",
		Description: `Asks the peer that gave the code to follow you, follows it, and remembers its address. Prints the messages that it
publishes.

Example:
   ssbsync invite accept pub.example.com:8008:@KEY.ed25519~SEED`,
		Action: func(c *cli.Context) error {
			if err := exactly(c, 1, "invite accept CODE"); err != nil {
				return err
			}
			return p.printAsync(c.Context, "invite.accept", c.Args().First())
		},
	}
}
