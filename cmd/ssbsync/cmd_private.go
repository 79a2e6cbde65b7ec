package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/ssbsync/ssbsync/spec/privatebox"
	"github.com/ssbsync/ssbsync/spec/refs"
)

func (p *program) privateCommand() *cli.Command {
	return &cli.Command{
		Name:     "private",
		Category: groupFeeds,
		Usage:    "write and read private messages",
		Description: `A private message is part of your feed like any other, and is carried and replicated like it, but only its
recipients can read it. Everybody sees when you wrote one and how long it is. Private groups are for more people.

Examples:
   ssbsync private send --to @XQNqhYzon4REkXYuuJ4r+9UKSgoNpljksmKLJbEXrgk=.ed25519 --text "see you at the pier"
   ssbsync private read --reverse --limit 10
   ssbsync private group create`,
		Subcommands: []*cli.Command{p.privateSendCommand(), p.privateReadCommand(), p.groupCommand()},
	}
}

// textFlag is how private messages get their text.
func textFlag() cli.Flag {
	return &cli.StringFlag{Name: "text", Usage: "the `TEXT` of the message; - reads it from standard input"}
}

func (p *program) privateSendCommand() *cli.Command {
	return &cli.Command{
		Name:  "send",
		Usage: "publish a message that only some feeds can read",
		Description: fmt.Sprintf(`Publishes a private post for up to %d feeds, you among them, so that you can read it again. Every recipient sees who
the others are.

Examples:
   ssbsync private send --to @XQNqhYzon4REkXYuuJ4r+9UKSgoNpljksmKLJbEXrgk=.ed25519 --text "see you at the pier"
   fortune | ssbsync private send --to @….ed25519 --to @….ed25519 --text -`, privatebox.MaxRecipients),
		Flags: []cli.Flag{
			&cli.StringSliceFlag{Name: "to", Usage: "a `FEED` that can read it; repeat it for more"},
			textFlag(),
			&cli.BoolFlag{Name: "no-copy", Usage: "do not be a recipient yourself: then you cannot read it"},
		},
		Action: p.privateSend,
	}
}

func (p *program) privateSend(c *cli.Context) error {
	if err := exactly(c, 0, "private send --to FEED [--to FEED…] --text TEXT"); err != nil {
		return err
	}
	recps, err := feedList(c.StringSlice("to"))
	if err != nil {
		return err
	}
	if len(recps) == 0 {
		return usageError("nobody to send it to: --to FEED")
	}
	text, err := p.text(c)
	if err != nil {
		return err
	}
	return p.with(func(nd *client) error {
		if !c.Bool("no-copy") {
			self, err := whoami(c.Context, nd)
			if err != nil {
				return err
			}
			if !slices.Contains(recps, self) {
				recps = append(recps, self)
			}
		}
		if len(recps) > privatebox.MaxRecipients {
			err := usageError("%d recipients, at most %d are possible", len(recps), privatebox.MaxRecipients)
			return withHint(err, "for more, make a group (ssbsync private group create); --no-copy leaves yourself out")
		}
		answer, err := nd.Async(c.Context, "publish", post{Type: "post", Text: text, Recps: recps})
		if err != nil {
			return err
		}
		return p.printJSON(answer)
	})
}

// post is the content of a private post.
type post struct {
	Type  string   `json:"type"`
	Text  string   `json:"text"`
	Recps []string `json:"recps"`
}

// feedList checks feed ids and drops those that stand there twice.
func feedList(words []string) (feeds []string, err error) {
	for _, word := range words {
		feed, err := refs.ParseFeed(word)
		if err != nil {
			return nil, usageError("%v", err)
		}
		if text := feed.String(); !slices.Contains(feeds, text) {
			feeds = append(feeds, text)
		}
	}
	return feeds, nil
}

// text returns the text of a message from the flag or standard input.
func (p *program) text(c *cli.Context) (string, error) {
	text := c.String("text")
	if text == "-" {
		raw, err := io.ReadAll(io.LimitReader(readWithin(c.Context, p.stdin), maxContent+1))
		if err != nil {
			return "", fmt.Errorf("reading the text from standard input: %w", err)
		}
		if len(raw) > maxContent {
			return "", fmt.Errorf("the text on standard input is longer than any message can be")
		}
		text = strings.TrimSuffix(string(raw), "\n")
	}
	if text == "" {
		return "", usageError("nothing to send: --text TEXT, or --text - for standard input")
	}
	return text, nil
}

func (p *program) privateReadCommand() *cli.Command {
	return &cli.Command{
		Name:  "read",
		Usage: "print the private messages that are for you",
		Description: `Prints the private messages that you can read, those of groups among them, in the order they arrived here, as
{key, value, timestamp} with the content in clear. Here --limit ends --live as well.

Examples:
   ssbsync private read --reverse --limit 10
   ssbsync --json private read --live | jq -r .value.content.text`,
		Flags: streamFlags("a receive time (milliseconds since 1970)"),
		Action: func(c *cli.Context) error {
			if err := exactly(c, 0, "private read [--limit N] [--reverse] [--live]"); err != nil {
				return err
			}
			return p.printMessages(c, "private.read", streamOptions(c))
		},
	}
}
