package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/ssbsync/ssbsync/spec/muxrpc"
)

// maxLine bounds a line of JSON on standard input, in bytes.
const maxLine = 1 << 20

func (p *program) callCommand() *cli.Command {
	return &cli.Command{
		Name:      "call",
		Category:  groupNode,
		Usage:     "call any method of the node",
		ArgsUsage: "METHOD [ARGUMENT…]",
		Description: `Calls a method of the API that apps use, and prints its answer, or what it streams as it comes. Arguments are JSON; what
is no JSON is taken as text. Flags such as --path stand before "call". What a sink or duplex method takes is read from standard input, one JSON value a line.

Examples:
   ssbsync call manifest
   ssbsync call createLogStream '{"live":true,"old":false}'
   ssbsync call friends.isFollowing '{"source":"@…","dest":"@…"}'`,
		SkipFlagParsing: true, // a JSON number may begin with a dash
		Action: func(c *cli.Context) error {
			args := c.Args().Slice()
			if len(args) == 0 {
				return usageError("usage: ssbsync call METHOD [ARGUMENT…]")
			}
			if slices.Contains(args, "--help") || slices.Contains(args, "-h") {
				return cli.ShowSubcommandHelp(c)
			}
			if err := stray(c, `a text that looks like a flag is an argument when it is JSON: '"--text"'`); err != nil {
				return err
			}
			return p.with(func(nd *client) error { return p.call(c.Context, nd, args[0], jsonArguments(args[1:])) })
		},
	}
}

// jsonArguments reads words as JSON, or as text.
func jsonArguments(words []string) []any {
	args := make([]any, len(words))
	for i, word := range words {
		if args[i] = word; json.Valid([]byte(word)) {
			args[i] = json.RawMessage(word)
		}
	}
	return args
}

// call calls a method as the manifest says that it is called.
func (p *program) call(ctx context.Context, c *client, method string, args []any) error {
	typ, err := methodType(ctx, c, method)
	if err != nil {
		return err
	}
	switch typ {
	case muxrpc.Source:
		if err := mayWait(c, slices.ContainsFunc(args, isLive)); err != nil {
			return err
		}
		return p.printStream(ctx, c, method, args...)
	case muxrpc.Sink:
		return p.callSink(ctx, c, method, args)
	case muxrpc.Duplex:
		return p.callDuplex(ctx, c, method, args)
	}
	answer, err := c.Async(ctx, method, args...)
	if err != nil {
		return err
	}
	return p.printJSON(answer)
}

// isLive reports whether an argument asks a stream to go on for ever.
func isLive(arg any) bool {
	var options struct{ Live bool }
	raw, ok := arg.(json.RawMessage)
	return ok && json.Unmarshal(raw, &options) == nil && options.Live
}

// methodType asks the node for its manifest.
func methodType(ctx context.Context, c *client, method string) (muxrpc.Type, error) {
	manifest, err := c.Async(ctx, "manifest")
	if err != nil {
		return "", err
	}
	for _, part := range strings.Split(method, ".") {
		var group map[string]json.RawMessage
		if json.Unmarshal(manifest, &group) != nil || group[part] == nil {
			return "", &codedError{code: exitUsage, err: fmt.Errorf("there is no method %q", method), hint: "ssbsync call manifest"}
		}
		manifest = group[part]
	}
	var typ muxrpc.Type
	if json.Unmarshal(manifest, &typ) != nil {
		return "", &codedError{code: exitUsage, err: fmt.Errorf("%q is a group of methods", method), hint: "ssbsync call manifest"}
	}
	return typ, nil
}

// callSink sends standard input to a method.
func (p *program) callSink(ctx context.Context, c *client, method string, args []any) error {
	stream, err := c.Sink(ctx, method, args...)
	if err != nil {
		return err
	}
	if err := p.sendLines(ctx, stream); err != nil {
		stream.Close(nil)
		return err
	}
	return stream.Finish(ctx)
}

// callDuplex sends standard input to a method and prints what comes back.
func (p *program) callDuplex(ctx context.Context, c *client, method string, args []any) error {
	stream, err := c.Duplex(ctx, method, args...)
	if err != nil {
		return err
	}
	sent := make(chan error, 1)
	go func() {
		err := p.sendLines(ctx, stream)
		stream.CloseSend()
		sent <- err
	}()
	if err := receive(ctx, stream, p.printStreamed); err != nil {
		return err
	}
	select {
	case err := <-sent:
		return err
	default: // nobody reads what is still typed
		return nil
	}
}

// sendLines sends each line of standard input, which must be JSON.
func (p *program) sendLines(ctx context.Context, stream *muxrpc.Stream) error {
	lines := bufio.NewScanner(p.stdin)
	lines.Buffer(make([]byte, 64<<10), maxLine)
	for n := 1; lines.Scan(); n++ {
		line := lines.Bytes()
		if len(line) == 0 {
			continue
		}
		if !json.Valid(line) {
			return usageError("line %d of standard input is not JSON", n)
		}
		if err := stream.Send(ctx, json.RawMessage(line)); err != nil {
			if errors.Is(err, muxrpc.ErrStreamClosed) {
				return nil
			}
			return err
		}
	}
	if err := lines.Err(); err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("reading standard input: %v", err)
	}
	return nil
}
