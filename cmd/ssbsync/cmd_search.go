package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/ssbsync/ssbsync/spec/muxrpc"
	"github.com/ssbsync/ssbsync/sync/views"
)

func (p *program) searchCommand() *cli.Command {
	return &cli.Command{
		Name:      "search",
		Category:  groupFeeds,
		Usage:     "find messages by words in their text",
		ArgsUsage: "WORD…",
		Description: `Prints the messages whose text has all of the words, or words that begin so, as {key, value, name}: name is what their
author is called, where that is known. What arrived last comes first. Capitals make no difference, and words of one or
two letters do not count. Private messages that you can read are among them, with their content in clear.

Examples:
   ssbsync search ferry pier --limit 10
   ssbsync --json search ferry | jq -r '.name + ": " + .value.content.text'`,
		Flags: []cli.Flag{&cli.Int64Flag{Name: "limit", Value: -1, Usage: "print at most `N` messages"}},
		Action: func(c *cli.Context) error {
			words := strings.Join(c.Args().Slice(), " ")
			if strings.TrimSpace(words) == "" {
				return usageError("usage: ssbsync search WORD… [--limit N]")
			}
			if len(views.QueryWords(words)) == 0 {
				return usageError("nothing to search for in %q: words of three letters and more count", words)
			}
			if c.Int64("limit") == 0 {
				return nil // to apps, 0 is no limit
			}
			options := map[string]any{"query": words, "rank": false}
			if limit := c.Int64("limit"); limit > 0 {
				options["limit"] = limit
			}
			return p.with(func(nd *client) error { return p.search(c.Context, nd, options) })
		},
	}
}

// search prints what search.query finds.
func (p *program) search(ctx context.Context, nd *client, options map[string]any) error {
	stream, err := nd.Source(ctx, "search.query", options)
	if err != nil {
		return err
	}
	known := names{}
	found := 0
	err = receive(ctx, stream, func(item muxrpc.Item) error {
		found++
		return p.printFound(ctx, nd, known, item.JSON())
	})
	if err == nil && found == 0 {
		p.notice("no message has all of these words")
	}
	return err
}

// printFound prints a message that was found and who wrote it.
func (p *program) printFound(ctx context.Context, nd *client, known names, item json.RawMessage) error {
	var msg struct {
		Key   string          `json:"key"`
		Value json.RawMessage `json:"value"`
	}
	var value struct {
		Author string `json:"author"`
	}
	err := json.Unmarshal(item, &msg)
	if err == nil {
		err = json.Unmarshal(msg.Value, &value)
	}
	if err != nil {
		return fmt.Errorf("reading what was found: %v", err)
	}
	name, err := known.of(ctx, nd, value.Author)
	if err != nil {
		return err
	}
	text := fmt.Appendf(nil, `{"key":%q,"value":%s`, msg.Key, msg.Value)
	if name != nil {
		text = fmt.Appendf(text, `,"name":%s`, name)
	}
	return p.printItem(append(text, '}'))
}

// names are what feeds are called, as JSON; nil where nobody said so.
type names map[string]json.RawMessage

// of asks for the name of a feed once.
func (n names) of(ctx context.Context, nd *client, feed string) (json.RawMessage, error) {
	if name, ok := n[feed]; ok {
		return name, nil
	}
	answer, err := nd.Async(ctx, "names.getSignifier", feed)
	if err != nil {
		return nil, err
	}
	var name string
	if json.Unmarshal(answer, &name) != nil || name == feed { // a feed without a name is called by its id
		answer = nil
	}
	n[feed] = answer
	return answer, nil
}
