package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/ssbsync/ssbsync/spec/muxrpc"
	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/store/durable"
	"github.com/ssbsync/ssbsync/sync/node"
)

func (p *program) blobsCommand() *cli.Command {
	return &cli.Command{
		Name:     "blobs",
		Category: groupFeeds,
		Usage:    "keep and fetch files that messages refer to",
		Description: `A blob is a file that is known by its hash. Messages refer to blobs by their ids; those of the feeds that you follow
are fetched by themselves, from peers and from sticks.

Examples:
   ssbsync blobs add photo.jpg
   ssbsync blobs get '&uU0nuZNNPgilLlLX2n2r+sSE7+N6U4DukIj3rOLvzek=.sha256' > photo.jpg
   ssbsync blobs ls --long`,
		Subcommands: []*cli.Command{
			p.blobsAddCommand(), p.blobsGetCommand(), p.blobsHasCommand(), p.blobsLsCommand(),
			p.blobsRmCommand(), p.blobsWantCommand(), p.blobsWantsCommand(), p.blobsPushCommand(),
		},
	}
}

// exampleBlob is the blob of the examples: "hello world".
const exampleBlob = `'&uU0nuZNNPgilLlLX2n2r+sSE7+N6U4DukIj3rOLvzek=.sha256'`

func (p *program) blobsAddCommand() *cli.Command {
	return &cli.Command{
		Name:      "add",
		Usage:     "add a file and print its id",
		ArgsUsage: "FILE",
		Description: `Stores a copy of a file, or of standard input when FILE is -, and prints its id. What you add is kept until you remove
it. Nobody gets it who does not know the id: publish a message that refers to it.

Examples:
   ssbsync blobs add photo.jpg
   fortune | ssbsync blobs add -`,
		Action: func(c *cli.Context) error {
			if err := exactly(c, 1, "blobs add FILE"); err != nil {
				return err
			}
			return p.blobsAdd(c.Context, c.Args().First())
		},
	}
}

func (p *program) blobsAdd(ctx context.Context, name string) error {
	src := p.stdin
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		defer f.Close()
		if info, err := f.Stat(); err == nil && info.IsDir() {
			return fmt.Errorf("%s is a folder", name)
		}
		src = f
	}
	var id refs.Blob
	err := p.with(func(nd *client) (err error) {
		id, err = sendBlob(ctx, nd, readWithin(ctx, src))
		return err
	})
	if err != nil {
		return err
	}
	if p.json {
		return p.printJSON(json.RawMessage(`{"id":"` + id.String() + `"}`))
	}
	_, err = fmt.Fprintln(p.stdout, id)
	return err
}

// sendBlob hands a blob to the node and returns its id.
func sendBlob(ctx context.Context, nd *client, src io.Reader) (id refs.Blob, err error) {
	stream, err := nd.Sink(ctx, "blobs.add")
	if err != nil {
		return id, err
	}
	defer stream.Close(nil)
	sum := sha256.New()
	buf := make([]byte, 64<<10)
	for {
		n, err := src.Read(buf)
		sum.Write(buf[:n])
		if n > 0 && stream.Send(ctx, buf[:n]) != nil {
			if err := ctx.Err(); err != nil {
				stream.Close(err) // half a file is none
				return id, err
			}
			break // Finish says why
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			stream.Close(err) // half a file is none
			return id, fmt.Errorf("reading the file: %w", err)
		}
	}
	if err := stream.Finish(ctx); err != nil {
		return id, err
	}
	return refs.Blob(sum.Sum(nil)), nil
}

func (p *program) blobsGetCommand() *cli.Command {
	return &cli.Command{
		Name:      "get",
		Usage:     "print a blob",
		ArgsUsage: "ID",
		Description: `Prints the bytes of a blob that is here, or writes them to a file.

Examples:
   ssbsync blobs get ` + exampleBlob + ` > photo.jpg
   ssbsync blobs get --output photo.jpg ` + exampleBlob,
		Flags: []cli.Flag{&cli.StringFlag{Name: "output", Aliases: []string{"o"}, Usage: "write to `FILE`, which must not exist"}},
		Action: func(c *cli.Context) error {
			id, err := blobArgument(c, "blobs get ID")
			if err != nil {
				return err
			}
			name := c.String("output")
			return p.with(func(nd *client) error {
				if name == "" || name == "-" {
					return receiveBlob(c.Context, nd, id, p.stdout)
				}
				return writeBlob(c.Context, nd, id, name)
			})
		},
	}
}

// writeBlob writes a blob to a new file.
func writeBlob(ctx context.Context, nd *client, id refs.Blob, name string) error {
	root, err := os.OpenRoot(filepath.Dir(name))
	if err != nil {
		return err
	}
	defer root.Close()
	_, err = durable.WriteFile(root, filepath.Base(name), durable.Options{}, func(w io.Writer) error { return receiveBlob(ctx, nd, id, w) })
	return err
}

// receiveBlob copies a blob from the node and compares it with its id.
func receiveBlob(ctx context.Context, nd *client, id refs.Blob, w io.Writer) error {
	stream, err := nd.Source(ctx, "blobs.get", id)
	if err != nil {
		return err
	}
	sum := sha256.New()
	err = receive(ctx, stream, func(item muxrpc.Item) error {
		sum.Write(item.Body)
		_, err := w.Write(item.Body)
		return err
	})
	var remote *muxrpc.RemoteError
	switch {
	case errors.As(err, &remote):
		return withHint(fmt.Errorf("%s is not here", id), "ssbsync blobs want '%s'", id)
	case err == nil && refs.Blob(sum.Sum(nil)) != id:
		return withHint(fmt.Errorf("the copy of %s is damaged", id), "ssbsync check --repair moves it away and asks for it again")
	}
	return err
}

func (p *program) blobsHasCommand() *cli.Command {
	return &cli.Command{
		Name:      "has",
		Usage:     "print whether a blob is here",
		ArgsUsage: "ID",
		Description: `Prints true or false.

Example:
   ssbsync blobs has ` + exampleBlob,
		Action: func(c *cli.Context) error {
			id, err := blobArgument(c, "blobs has ID")
			if err != nil {
				return err
			}
			return p.printAsync(c.Context, "blobs.has", id)
		},
	}
}

func (p *program) blobsLsCommand() *cli.Command {
	return &cli.Command{
		Name:  "ls",
		Usage: "list the blobs that are here",
		Description: `Prints an id a line; with --long also when the blob was stored, and its size in bytes.

Example:
   ssbsync blobs ls --long`,
		Flags: []cli.Flag{&cli.BoolFlag{Name: "long", Aliases: []string{"l"}, Usage: "print time and size too"}},
		Action: func(c *cli.Context) error {
			if err := exactly(c, 0, "blobs ls"); err != nil {
				return err
			}
			long := c.Bool("long")
			return p.with(func(nd *client) error {
				stream, err := nd.Source(c.Context, "blobs.ls", json.RawMessage(`{"meta":true}`))
				if err != nil {
					return err
				}
				return receive(c.Context, stream, func(item muxrpc.Item) error { return p.printBlob(item, long) })
			})
		},
	}
}

func (p *program) printBlob(item muxrpc.Item, long bool) error {
	if p.json {
		return p.printJSON(item.JSON())
	}
	var blob node.BlobMeta
	err := item.Unmarshal(&blob)
	if err != nil {
		return fmt.Errorf("reading a blob's data: %v", err)
	}
	if long {
		_, err = fmt.Fprintf(p.stdout, "%s %10d  %s\n", time.UnixMilli(blob.Time).Format("2006-01-02 15:04"), blob.Size, blob.ID)
	} else {
		_, err = fmt.Fprintln(p.stdout, blob.ID)
	}
	return err
}

func (p *program) blobsRmCommand() *cli.Command {
	return &cli.Command{
		Name:      "rm",
		Usage:     "remove a blob",
		ArgsUsage: "ID",
		Description: `Removes a blob from this machine. It is not fetched again by itself; "ssbsync blobs want" does.

Example:
   ssbsync blobs rm ` + exampleBlob,
		Action: func(c *cli.Context) error {
			id, err := blobArgument(c, "blobs rm ID")
			if err != nil {
				return err
			}
			if _, err := p.async(c.Context, "blobs.rm", id); err != nil {
				return err
			}
			p.notice("removed %s", id)
			return nil
		},
	}
}

func (p *program) blobsWantCommand() *cli.Command {
	return &cli.Command{
		Name:      "want",
		Usage:     "ask peers and sticks for a blob",
		ArgsUsage: "ID",
		Description: `Notes that you want a blob: the server asks every peer for it, and every stick that is synced, until it is here.
Prints whether it is here already; with --wait it returns when it is.

Examples:
   ssbsync blobs want ` + exampleBlob + `
   ssbsync blobs want --wait ` + exampleBlob,
		Flags: []cli.Flag{&cli.BoolFlag{Name: "wait", Usage: "wait until it is here (needs a running server)"}},
		Action: func(c *cli.Context) error {
			id, err := blobArgument(c, "blobs want ID")
			if err != nil {
				return err
			}
			return p.with(func(nd *client) error {
				answer, err := nd.Async(c.Context, "blobs.want", id, json.RawMessage(`{"nowait":true}`))
				if err != nil {
					return err
				}
				if c.Bool("wait") && string(answer) != "true" {
					if nd.alone {
						return withHint(errors.New("no server is running that could fetch it; it is noted that you want it"), "ssbsync server")
					}
					if answer, err = nd.Async(c.Context, "blobs.want", id); err != nil {
						return err
					}
				}
				return p.printJSON(answer)
			})
		},
	}
}

func (p *program) blobsWantsCommand() *cli.Command {
	return &cli.Command{
		Name:  "wants",
		Usage: "list the blobs that are wanted and not here",
		Description: `Prints an id a line and why it is wanted: asked (by you or an app), referenced (by a message), sympathy (a peer
wants it).

Example:
   ssbsync blobs wants`,
		Action: func(c *cli.Context) error {
			if err := exactly(c, 0, "blobs wants"); err != nil {
				return err
			}
			return p.with(func(nd *client) error {
				stream, err := nd.Source(c.Context, "blobs.wants")
				if err != nil {
					return err
				}
				return receive(c.Context, stream, func(item muxrpc.Item) error {
					if p.json {
						return p.printJSON(item.JSON())
					}
					var want node.WantedBlob
					if err := item.Unmarshal(&want); err != nil {
						return fmt.Errorf("reading a want: %v", err)
					}
					_, err := fmt.Fprintf(p.stdout, "%s  %s\n", want.ID, want.Why)
					return err
				})
			})
		},
	}
}

func (p *program) blobsPushCommand() *cli.Command {
	return &cli.Command{
		Name:      "push",
		Usage:     "offer a blob to peers until some have taken it",
		ArgsUsage: "ID",
		Description: `Asks every peer to take a blob, until three have it: for what peers do not come to want by themselves, because the message
that refers to it is private, say.

Example:
   ssbsync blobs push ` + exampleBlob,
		Action: func(c *cli.Context) error {
			id, err := blobArgument(c, "blobs push ID")
			if err != nil {
				return err
			}
			return p.with(func(nd *client) error {
				if _, err := nd.Async(c.Context, "blobs.push", id); err != nil {
					return err
				}
				if here, err := nd.Async(c.Context, "blobs.has", id); err == nil && string(here) == "false" {
					p.notice("%s is not here: it is offered as soon as it is", id)
				}
				return nil
			})
		},
	}
}

// blobArgument reads the only argument of a command as a blob id.
func blobArgument(c *cli.Context, usage string) (refs.Blob, error) {
	if err := exactly(c, 1, usage); err != nil {
		return refs.Blob{}, err
	}
	id, err := refs.ParseBlob(c.Args().First())
	if err != nil {
		return id, usageError("%v", err)
	}
	return id, nil
}
