package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"

	"github.com/urfave/cli/v2"
)

// maxContent bounds the content read from standard input, in bytes: more
// than any message can hold.
const maxContent = 64 << 10

func (p *program) publishCommand() *cli.Command {
	return &cli.Command{
		Name:      "publish",
		Category:  groupFeeds,
		Usage:     "append a message to your own feed",
		ArgsUsage: "[.]",
		Description: `Signs a message and appends it to your own feed. The content is made of the flags, or read as JSON from
standard input with ".". Any flag behind "publish" becomes a field of the content, as with ssb-server; flags of ssbsync
itself, such as --path and --json, stand before it. A field that is called like one of them must be given as JSON.
A value that begins with "--" is given as --text=VALUE. For private messages see "ssbsync private send --help".

Examples:
   ssbsync publish --type post --text "hello from the island"
   echo '{"type":"post","text":"hello"}' | ssbsync publish .`,
		SkipFlagParsing: true, // any flag is a field
		Action:          p.publish,
	}
}

func (p *program) publish(c *cli.Context) error {
	for _, arg := range c.Args().Slice() {
		if arg == "--help" || arg == "-h" {
			return cli.ShowSubcommandHelp(c)
		}
	}
	if err := stray(c, "a field of that name is given as JSON on standard input: ssbsync publish ."); err != nil {
		return err
	}
	content, err := p.content(c.Context, c.Args().Slice())
	if err != nil {
		return err
	}
	return p.printAsync(c.Context, "publish", content)
}

// content builds the content of a message from the arguments of publish.
func (p *program) content(ctx context.Context, args []string) (json.RawMessage, error) {
	if len(args) == 1 && args[0] == "." {
		raw, err := io.ReadAll(io.LimitReader(readWithin(ctx, p.stdin), maxContent+1))
		if err != nil {
			return nil, fmt.Errorf("reading the content from standard input: %w", err)
		}
		if len(raw) > maxContent {
			return nil, fmt.Errorf("the content on standard input is longer than any message can be")
		}
		if !json.Valid(raw) {
			return nil, usageError("the content on standard input is not JSON")
		}
		return raw, nil
	}
	fields, err := contentFields(args)
	if err != nil {
		return nil, err
	}
	if len(fields) == 0 {
		return nil, usageError("nothing to publish: ssbsync publish --type post --text TEXT")
	}
	if !slices.ContainsFunc(fields, func(f field) bool { return f.name == "type" }) {
		return nil, usageError("every message has a type: ssbsync publish --type post --text TEXT")
	}
	return objectText(fields)
}

// field is one member of a content object, in the order it was typed.
type field struct {
	name  string
	value any
}

// contentFields reads "--name value" and "--name=value" pairs; a name without
// value is true. What was hardly meant so is refused: nothing that was
// published can be taken back.
func contentFields(args []string) ([]field, error) {
	var fields []field
	for i := 0; i < len(args); i++ {
		name, isFlag := strings.CutPrefix(args[i], "--")
		if !isFlag || name == "" {
			return nil, usageError("unexpected argument %q: content is given as --name value, or as JSON on standard input with \".\"", args[i])
		}
		name, value, inline := strings.Cut(name, "=")
		if name == "" || strings.ContainsFunc(name, unicode.IsSpace) {
			return nil, usageError("%.80q is no name of a field: a text that begins with -- is given as --text=TEXT", args[i])
		}
		switch {
		case inline:
			fields = append(fields, field{name, scalar(value)})
		case i+1 < len(args) && !strings.HasPrefix(args[i+1], "--"):
			i++
			fields = append(fields, field{name, scalar(args[i])})
		case name == "type" || name == "text":
			return nil, usageError("--%s has no value: one that begins with -- is given as --%s=VALUE", name, name)
		default:
			fields = append(fields, field{name, true})
		}
	}
	return fields, notInClear(fields)
}

// notInClear refuses what looks like a private message and would be readable
// by everybody.
func notInClear(fields []field) error {
	named := func(name string) bool {
		return slices.ContainsFunc(fields, func(f field) bool { return f.name == name })
	}
	if named("recps") {
		return nil
	}
	for _, name := range []string{"to", "private"} {
		if named(name) {
			err := usageError("--%s does not make a message private: everybody could read it", name)
			return withHint(err, "ssbsync private send --to FEED --text TEXT; a public message with a field of that name is given as JSON: ssbsync publish .")
		}
	}
	return nil
}

// scalar reads true and false as JSON does; all else stays text, so that a
// text that looks like a number is not changed.
func scalar(text string) any {
	switch text {
	case "true":
		return true
	case "false":
		return false
	}
	return text
}

// objectText prints the fields as a JSON object in their order.
func objectText(fields []field) (json.RawMessage, error) {
	var b strings.Builder
	b.WriteByte('{')
	for i, f := range fields {
		if i > 0 {
			b.WriteByte(',')
		}
		name, err := json.Marshal(f.name)
		if err != nil {
			return nil, err
		}
		value, err := json.Marshal(f.value)
		if err != nil {
			return nil, err
		}
		b.Write(name)
		b.WriteByte(':')
		b.Write(value)
	}
	b.WriteByte('}')
	return json.RawMessage(b.String()), nil
}
