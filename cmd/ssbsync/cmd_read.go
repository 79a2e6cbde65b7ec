package main

import (
	"errors"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/ssbsync/ssbsync/spec/refs"
)

// streamFlags are the options of log, feed and hist.
func streamFlags(by string) []cli.Flag {
	return []cli.Flag{
		&cli.Int64Flag{Name: "limit", Value: -1, Usage: "print at most `N` messages; --live goes on after that"},
		&cli.BoolFlag{Name: "reverse", Usage: "newest first"},
		&cli.BoolFlag{Name: "live", Usage: "go on with messages as they arrive, until Ctrl-C"},
		&cli.Float64Flag{Name: "gt", Usage: "only messages with " + by + " above `N`"},
		&cli.Float64Flag{Name: "gte", Usage: "only messages with " + by + " of `N` or above"},
		&cli.Float64Flag{Name: "lt", Usage: "only messages with " + by + " below `N`"},
		&cli.Float64Flag{Name: "lte", Usage: "only messages with " + by + " of `N` or below"},
	}
}

// streamOptions turns the flags into the options of a read stream.
func streamOptions(c *cli.Context) map[string]any {
	options := map[string]any{"limit": c.Int64("limit"), "reverse": c.Bool("reverse"), "live": c.Bool("live"), "sync": false}
	for _, name := range []string{"gt", "gte", "lt", "lte"} {
		if c.IsSet(name) {
			options[name] = c.Float64(name)
		}
	}
	return options
}

// printMessages calls a read stream and prints what it sends.
func (p *program) printMessages(c *cli.Context, method string, options map[string]any) error {
	return p.with(func(conn *client) error {
		if err := mayWait(conn, c.Bool("live")); err != nil {
			return err
		}
		return p.printStream(c.Context, conn, method, options)
	})
}

// mayWait refuses to wait for what is live where nothing can arrive: it would
// keep the store locked for ever.
func mayWait(conn *client, live bool) error {
	if !live || !conn.alone {
		return nil
	}
	return withHint(errors.New("--live: no server is running for this home folder, so nothing can arrive"), "start one: ssbsync server")
}

func (p *program) logCommand() *cli.Command {
	return &cli.Command{
		Name:     "log",
		Category: groupFeeds,
		Usage:    "print all messages, in the order they arrived here",
		Description: `Prints every message of the store as {key, value, timestamp}, where timestamp says when it arrived.

Examples:
   ssbsync log --reverse --limit 10
   ssbsync --json log | jq .value.content.text`,
		Flags: streamFlags("a receive time (milliseconds since 1970)"),
		Action: func(c *cli.Context) error {
			if err := exactly(c, 0, "log [--limit N] [--reverse] [--live]"); err != nil {
				return err
			}
			return p.printMessages(c, "createLogStream", streamOptions(c))
		},
	}
}

func (p *program) feedCommand() *cli.Command {
	return &cli.Command{
		Name:     "feed",
		Category: groupFeeds,
		Usage:    "print all messages, in the order of the times their authors claim",
		Description: `Prints every message of the store as {key, value, timestamp, rts}, ordered by the time its author claims, or by
its arrival where that is earlier.

Example:
   ssbsync feed --reverse --limit 10`,
		Flags: streamFlags("a claimed time (milliseconds since 1970)"),
		Action: func(c *cli.Context) error {
			if err := exactly(c, 0, "feed [--limit N] [--reverse] [--live]"); err != nil {
				return err
			}
			return p.printMessages(c, "createFeedStream", streamOptions(c))
		},
	}
}

func (p *program) histCommand() *cli.Command {
	return &cli.Command{
		Name:      "hist",
		Category:  groupFeeds,
		Usage:     "print the messages of one feed",
		ArgsUsage: "FEED",
		Description: `Prints the messages of one feed by their sequence. Without a feed it is your own.

Examples:
   ssbsync hist
   ssbsync hist @XQNqhYzon4REkXYuuJ4r+9UKSgoNpljksmKLJbEXrgk=.ed25519 --gt 100`,
		Flags: append(streamFlags("a sequence"), &cli.StringFlag{Name: "id", Usage: "the `FEED`, as ssb-server takes it"}),
		Action: func(c *cli.Context) error {
			id, err := histFeed(c)
			if err != nil {
				return err
			}
			return p.with(func(node *client) error { return p.hist(c, node, id) })
		},
	}
}

// histFeed reads which feed hist is about; none is "".
func histFeed(c *cli.Context) (string, error) {
	id := c.String("id")
	if c.NArg() > 1 || c.NArg() == 1 && c.IsSet("id") {
		return "", usageError("usage: ssbsync hist [FEED]")
	}
	if c.NArg() > 0 {
		id = c.Args().First()
	} else if !c.IsSet("id") {
		return "", nil
	}
	if _, err := refs.ParseFeed(id); err != nil {
		return "", usageError("%v", err)
	}
	return id, nil
}

// hist prints the messages of a feed, of our own when it is "".
func (p *program) hist(c *cli.Context, node *client, feed string) (err error) {
	if err := mayWait(node, c.Bool("live")); err != nil {
		return err
	}
	if feed == "" {
		if feed, err = whoami(c.Context, node); err != nil {
			return err
		}
	}
	options := streamOptions(c)
	options["id"] = feed
	return p.printStream(c.Context, node, "createUserStream", options)
}

func (p *program) getCommand() *cli.Command {
	return &cli.Command{
		Name:      "get",
		Category:  groupFeeds,
		Usage:     "print one message",
		ArgsUsage: "ID",
		Description: `Prints the value of the message with this id.

Example:
   ssbsync get %iWDfZsYgQfcqMzu7dDBLTMPmdHCaEwGgR0dDyKyLnd0=.sha256`,
		Flags: []cli.Flag{&cli.BoolFlag{Name: "meta", Usage: "print {key, value, timestamp}"}},
		Action: func(c *cli.Context) error {
			if err := exactly(c, 1, "get ID"); err != nil {
				return err
			}
			link := c.Args().First()
			id, _, _ := strings.Cut(link, "?") // the key of a private message may stand there
			if _, err := refs.ParseMessage(id); err != nil {
				return usageError("not a message id: %.80q", id)
			}
			if c.Bool("meta") {
				return p.printAsync(c.Context, "get", map[string]any{"id": link, "meta": true})
			}
			return p.printAsync(c.Context, "get", link)
		},
	}
}
