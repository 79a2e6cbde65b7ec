package main

import (
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/ssbsync/ssbsync/spec/refs"
)

func (p *program) linksCommand() *cli.Command {
	return &cli.Command{
		Name:      "links",
		Category:  groupFeeds,
		Usage:     "print which messages link to what",
		ArgsUsage: "[ID]",
		Description: `Prints the links of messages as {source, rel, dest, key}: the feed source wrote the message key, which links to dest in
the member rel of its content. ID is what they lead to, and the same as --dest ID. Links to a message, a feed or a blob
tell who answered or liked it, who follows it, who refers to it. Links of private messages that you can read are among
them.

Examples:
   ssbsync links %iWDfZsYgQfcqMzu7dDBLTMPmdHCaEwGgR0dDyKyLnd0=.sha256
   ssbsync links @XQNqhYzon4REkXYuuJ4r+9UKSgoNpljksmKLJbEXrgk=.ed25519 --rel contact
   ssbsync links --source @XQNqhYzon4REkXYuuJ4r+9UKSgoNpljksmKLJbEXrgk=.ed25519 --dest blob --values`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "source", Usage: "only links in messages of this `FEED`"},
			&cli.StringFlag{Name: "dest", Usage: "only links to this `ID`, or to all that are a feed, msg or blob"},
			&cli.StringFlag{Name: "rel", Usage: "only links in the member `NAME` of the content (vote, root, branch, mentions, contact, about …)"},
			&cli.BoolFlag{Name: "values", Usage: "print the messages as well"},
			&cli.Int64Flag{Name: "limit", Value: -1, Usage: "print at most `N` links"},
			&cli.BoolFlag{Name: "reverse", Usage: "in reverse order"},
			&cli.BoolFlag{Name: "live", Usage: "go on with links as they arrive, until Ctrl-C"},
		},
		Action: func(c *cli.Context) error {
			options, err := linksOptions(c)
			if err != nil {
				return err
			}
			return p.printMessages(c, "links", options)
		},
	}
}

// linksOptions turns the command line into the argument of links.
func linksOptions(c *cli.Context) (map[string]any, error) {
	dest := c.String("dest")
	if c.NArg() > 0 {
		if c.NArg() > 1 || c.IsSet("dest") {
			return nil, usageError("usage: ssbsync links [ID | --dest ID] [--source FEED] [--rel NAME]")
		}
		dest = c.Args().First()
	}
	options := map[string]any{"limit": c.Int64("limit"), "reverse": c.Bool("reverse"), "live": c.Bool("live"), "sync": false, "values": c.Bool("values")}
	if source := c.String("source"); source != "" {
		feed, err := refs.ParseFeed(source)
		if err != nil {
			return nil, usageError("--source: only feeds write messages: %v", err)
		}
		options["source"] = feed.String()
	}
	if dest != "" {
		if err := checkDest(dest); err != nil {
			return nil, err
		}
		options["dest"] = dest
	}
	if rel := c.String("rel"); rel != "" {
		options["rel"] = rel
	}
	return options, nil
}

// checkDest explains what is wrong with the end of a link.
func checkDest(dest string) error {
	switch dest {
	case "feed", "msg", "blob", "@", "%", "&":
		return nil
	}
	id, _, _ := strings.Cut(dest, "?") // links to encrypted blobs have their key there
	if _, err := refs.ParseID(id); err != nil {
		if dest[0] == '#' {
			return withHint(usageError("%q is a channel: links lead to feeds, messages and blobs", dest),
				`for the messages of a channel: ssbsync call backlinks.read '{"query":[{"$filter":{"dest":"#name"}}]}'`)
		}
		return withHint(usageError("%v", err), "an id begins with @ (feed), %% (message) or & (blob); feed, msg and blob stand for all of a kind")
	}
	return nil
}
