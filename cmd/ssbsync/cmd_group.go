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
What the others write comes by itself, once what they were added with is here.

Examples:
   ssbsync private group create
   ssbsync private group add GROUP @XQNqhYzon4REkXYuuJ4r+9UKSgoNpljksmKLJbEXrgk=.ed25519
   ssbsync private group send GROUP --text "welcome"`,
		Subcommands: []*cli.Command{
			p.groupCreateCommand(), p.groupListCommand(), p.groupAddCommand(), p.groupSendCommand(), p.groupMembersCommand(), p.groupExcludeCommand(),
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
		Description: `Prints the id of each group that you made or were added to, and were not excluded from.

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
			id, err := groupID(c.Args().First())
			if err != nil {
				return err
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
			answer, err := p.async(c.Context, "tribes2.addMembers", id, feeds, options)
			if err != nil {
				return err
			}
			return p.printGroupMessages(answer)
		},
	}
}

// printGroupMessages prints a list of messages.
func (p *program) printGroupMessages(list json.RawMessage) error {
	var messages []json.RawMessage
	if err := json.Unmarshal(list, &messages); err != nil {
		return fmt.Errorf("reading the answer: %v", err)
	}
	for _, msg := range messages {
		if err := p.printJSON(msg); err != nil {
			return err
		}
	}
	return nil
}

func (p *program) groupExcludeCommand() *cli.Command {
	return &cli.Command{
		Name:      "exclude",
		Usage:     "say that others are no longer in a group",
		ArgsUsage: "GROUP FEED…",
		Description: `Publishes to a group that feeds are no longer in it, for good. Their programs write nothing more to it, and those of the
others no longer fetch their feeds for its sake. The key stays the same and they keep it: with what they get of your feeds
they can read on. To be sure that they cannot, make another group without them.

Example:
   ssbsync private group exclude GROUP @XQNqhYzon4REkXYuuJ4r+9UKSgoNpljksmKLJbEXrgk=.ed25519`,
		Action: func(c *cli.Context) error {
			if c.NArg() < 2 {
				return usageError("usage: ssbsync private group exclude GROUP FEED…")
			}
			id, err := groupID(c.Args().First())
			if err != nil {
				return err
			}
			feeds, err := feedList(c.Args().Tail())
			if err != nil {
				return err
			}
			answer, err := p.async(c.Context, "tribes2.excludeMembers", id, feeds)
			if err != nil {
				return err
			}
			return p.printGroupMessages(answer)
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
		Description: `Prints the feeds that were added to a group and not excluded, as far as the messages that say so are here.

Example:
   ssbsync private group members GROUP`,
		Action: func(c *cli.Context) error {
			if err := exactly(c, 1, "private group members GROUP"); err != nil {
				return err
			}
			id, err := groupID(c.Args().First())
			if err != nil {
				return err
			}
			return p.with(func(nd *client) error {
				return eachJSON(c.Context, nd, p.printMembers, "tribes2.listMembers", id)
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
