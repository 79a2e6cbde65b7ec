package main

import (
	"encoding/json"

	"github.com/urfave/cli/v2"

	"github.com/ssbsync/ssbsync/spec/refs"
)

func (p *program) followCommand() *cli.Command {
	return p.contactCommand("follow", "following", "follow a feed: carry and fetch it, and what it follows",
		`Publishes that you follow a feed. Feeds that you follow, and those that they follow, are replicated
(friends.hops in the config says how far).`)
}

func (p *program) blockCommand() *cli.Command {
	return p.contactCommand("block", "blocking", "block a feed: neither fetch nor serve it",
		`Publishes that you block a feed. It is no longer replicated.`)
}

// contactCommand builds follow and block, which publish the same kind of
// message.
func (p *program) contactCommand(name, relation, usage, text string) *cli.Command {
	return &cli.Command{
		Name:        name,
		Category:    groupFeeds,
		Usage:       usage,
		ArgsUsage:   "FEED",
		Description: text + "\n\nExamples:\n   ssbsync " + name + " @XQNqhYzon4REkXYuuJ4r+9UKSgoNpljksmKLJbEXrgk=.ed25519\n   ssbsync " + name + " --undo @XQNqhYzon4REkXYuuJ4r+9UKSgoNpljksmKLJbEXrgk=.ed25519",
		Flags:       []cli.Flag{&cli.BoolFlag{Name: "undo", Usage: "take it back"}},
		Action: func(c *cli.Context) error {
			feed, err := feedArgument(c, name+" FEED")
			if err != nil {
				return err
			}
			content, err := json.Marshal(contact{Type: "contact", Contact: feed, Relation: relation, Is: !c.Bool("undo")})
			if err != nil {
				return err
			}
			return p.printAsync(c.Context, "publish", json.RawMessage(content))
		},
	}
}

// contact is the content of a contact message.
type contact struct {
	Type     string
	Contact  refs.Feed
	Relation string // "following" or "blocking"
	Is       bool
}

// MarshalJSON prints the fields in the order other programs print them.
func (c contact) MarshalJSON() ([]byte, error) {
	return objectText([]field{{"type", c.Type}, {"contact", c.Contact.String()}, {c.Relation, c.Is}})
}

// feedArgument reads the only argument of a command as a feed id.
func feedArgument(c *cli.Context, usage string) (refs.Feed, error) {
	if err := exactly(c, 1, usage); err != nil {
		return refs.Feed{}, err
	}
	feed, err := refs.ParseFeed(c.Args().First())
	if err != nil {
		return refs.Feed{}, usageError("%v", err)
	}
	return feed, nil
}

func (p *program) friendsCommand() *cli.Command {
	return &cli.Command{
		Name:     "friends",
		Category: groupFeeds,
		Usage:    "print who is within reach of your follows",
		Description: `Prints every feed that your follows reach and how many steps away it is: 0 is yourself, 1 whom you follow, 2 whom
they follow. A negative number is a feed you block.

Example:
   ssbsync friends --hops 1`,
		Flags: []cli.Flag{&cli.IntFlag{Name: "hops", Value: -1, Usage: "at most `N` steps (default: friends.hops of the config)"}},
		Action: func(c *cli.Context) error {
			if err := exactly(c, 0, "friends [--hops N]"); err != nil {
				return err
			}
			options := map[string]any{}
			if c.IsSet("hops") {
				options["max"] = c.Int("hops")
			}
			return p.printAsync(c.Context, "friends.hops", options)
		},
	}
}
