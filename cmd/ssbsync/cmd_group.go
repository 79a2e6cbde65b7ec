package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/ssbsync/ssbsync/spec/muxrpc"
	"github.com/ssbsync/ssbsync/spec/refs"
)

// group is what the node tells of a private group.
type group struct {
	ID   string `json:"id"`
	Root string `json:"root"`
}

func (p *program) groupCommand() *cli.Command {
	return &cli.Command{
		Name:  "group",
		Usage: "write to private groups",
		Description: `Those who are in a private group read everything that is written to it, also what was written before they came.
Nobody can be put out again. To receive what the others write, follow them.

Examples:
   ssbsync private group create
   ssbsync private group add GROUP @XQNqhYzon4REkXYuuJ4r+9UKSgoNpljksmKLJbEXrgk=.ed25519
   ssbsync private group send GROUP --text "welcome"`,
		Subcommands: []*cli.Command{
			p.groupCreateCommand(), p.groupListCommand(), p.groupAddCommand(), p.groupSendCommand(), p.groupMembersCommand(),
		},
	}
}

// groupID checks the id of a group.
func groupID(word string) (string, error) {
	if _, err := refs.ParseCloaked(word); err != nil && !strings.HasPrefix(word, "ssb:identity/group/") {
		return "", usageError("%v", err)
	}
	return word, nil
}

func (p *program) groupCreateCommand() *cli.Command {
	return &cli.Command{
		Name:  "create",
		Usage: "make a group, with you in it",
		Description: `Makes a group and prints its id, by which those who are in it know it. The id tells nobody else anything.

Example:
   ssbsync private group create`,
		Action: func(c *cli.Context) error {
			if err := exactly(c, 0, "private group create"); err != nil {
				return err
			}
			answer, err := p.async(c.Context, "tribes2.create")
			if err != nil {
				return err
			}
			return p.printGroup(answer)
		},
	}
}

// printGroup prints the id of a group.
func (p *program) printGroup(raw json.RawMessage) error {
	if p.json {
		return p.printJSON(raw)
	}
	var g group
	if err := json.Unmarshal(raw, &g); err != nil {
		return fmt.Errorf("reading the answer: %v", err)
	}
	_, err := fmt.Fprintln(p.stdout, g.ID)
	return err
}

func (p *program) groupListCommand() *cli.Command {
	return &cli.Command{
		Name:  "list",
		Usage: "print the groups you are in",
		Description: `Prints the id of each group that you made or were added to.

Example:
   ssbsync private group list`,
		Action: func(c *cli.Context) error {
			if err := exactly(c, 0, "private group list"); err != nil {
				return err
			}
			return p.with(func(nd *client) error {
				return eachJSON(c.Context, nd, p.printGroup, "tribes2.list", struct{}{})
			})
		},
	}
}

func (p *program) groupAddCommand() *cli.Command {
	return &cli.Command{
		Name:      "add",
		Usage:     "let others into a group",
		ArgsUsage: "GROUP FEED…",
		Description: `Gives the key of a group to up to 15 feeds, in a message that they and the group can read. They read everything that
was and will be written to the group, and can write to it and add others.

Example:
   ssbsync private group add GROUP @XQNqhYzon4REkXYuuJ4r+9UKSgoNpljksmKLJbEXrgk=.ed25519`,
		Flags: []cli.Flag{textFlag()},
		Action: func(c *cli.Context) error {
			if c.NArg() < 2 {
				return usageError("usage: ssbsync private group add GROUP FEED…")
			}
			feeds, err := feedList(c.Args().Tail())
			if err != nil {
				return err
			}
			options := map[string]string{}
			if c.IsSet("text") {
				if options["text"], err = p.text(c); err != nil {
					return err
				}
			}
			answer, err := p.async(c.Context, "tribes2.addMembers", c.Args().First(), feeds, options)
			if err != nil {
				return err
			}
			var messages []json.RawMessage
			if err := json.Unmarshal(answer, &messages); err != nil {
				return fmt.Errorf("reading the answer: %v", err)
			}
			for _, msg := range messages {
				if err := p.printJSON(msg); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

func (p *program) groupSendCommand() *cli.Command {
	return &cli.Command{
		Name:      "send",
		Usage:     "publish a message that a group can read",
		ArgsUsage: "GROUP",
		Description: `Publishes a post that everybody in a group can read, also those who come later.

Example:
   ssbsync private group send GROUP --text "welcome"`,
		Flags: []cli.Flag{textFlag()},
		Action: func(c *cli.Context) error {
			if err := exactly(c, 1, "private group send GROUP --text TEXT"); err != nil {
				return err
			}
			id, err := groupID(c.Args().First())
			if err != nil {
				return err
			}
			text, err := p.text(c)
			if err != nil {
				return err
			}
			return p.printAsync(c.Context, "tribes2.publish", post{Type: "post", Text: text, Recps: []string{id}})
		},
	}
}

func (p *program) groupMembersCommand() *cli.Command {
	return &cli.Command{
		Name:      "members",
		Usage:     "print who is in a group",
		ArgsUsage: "GROUP",
		Description: `Prints the feeds that were added to a group, as far as the messages that add them are here.

Example:
   ssbsync private group members GROUP`,
		Action: func(c *cli.Context) error {
			if err := exactly(c, 1, "private group members GROUP"); err != nil {
				return err
			}
			return p.with(func(nd *client) error {
				return eachJSON(c.Context, nd, p.printMembers, "tribes2.listMembers", c.Args().First())
			})
		},
	}
}

func (p *program) printMembers(raw json.RawMessage) error {
	if p.json {
		return p.printJSON(raw)
	}
	var members struct{ Added []string }
	if err := json.Unmarshal(raw, &members); err != nil {
		return fmt.Errorf("reading the answer: %v", err)
	}
	for _, feed := range members.Added {
		if _, err := fmt.Fprintln(p.stdout, feed); err != nil {
			return err
		}
	}
	return nil
}

// eachJSON calls a method and hands over each item that it streams.
func eachJSON(ctx context.Context, nd *client, take func(json.RawMessage) error, method string, args ...any) error {
	stream, err := nd.Source(ctx, method, args...)
	if err != nil {
		return err
	}
	return receive(ctx, stream, func(item muxrpc.Item) error { return take(item.JSON()) })
}
