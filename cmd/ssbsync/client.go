package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"syscall"
	"time"

	"github.com/ssbsync/ssbsync/spec/muxrpc"
	"github.com/ssbsync/ssbsync/store"
	"github.com/ssbsync/ssbsync/sync/node"
)

// storeTimeout is how long a command waits for another process to leave the
// store.
const storeTimeout = 5 * time.Second

const hintNoSpace = "make room, then repeat the command: what was stored or written whole is kept"

// client is a connection to a node: the commands know nothing else of it.
type client struct {
	*muxrpc.Session
	close func() error
}

// connect opens a node in this process and connects to it over a pipe.
func (p *program) connect() (*client, error) {
	home, err := p.home()
	if err != nil {
		return nil, err
	}
	n, err := node.Open(node.Options{
		Home: home, Timeout: storeTimeout, Version: version(), Log: p.logger(),
		Created: func(id string) { p.notice("made a new identity in %s: %s", home, id) },
	})
	if errors.Is(err, store.ErrLocked) {
		return nil, &codedError{code: exitInUse, err: fmt.Errorf("%s is in use by another process", home), hint: "wait until it is done, or give another home folder with --path"}
	}
	if errors.Is(err, syscall.ENOSPC) {
		return nil, withHint(err, hintNoSpace)
	}
	if err != nil {
		return nil, err
	}
	return attach(n), nil
}

// attach connects to a node in this process. The session has a context of its
// own: a command that is interrupted still waits for what the node must
// finish.
func attach(n *node.Node) *client {
	near, far := muxrpc.Pipe()
	served := make(chan struct{})
	go func() {
		defer close(served)
		// The end of the session is the client's doing.
		_ = n.Serve(context.Background(), far)
	}()
	session := muxrpc.NewSession(near, muxrpc.Config{})
	return &client{Session: session, close: func() error {
		session.Close()
		<-served
		return n.Close()
	}}
}

// logger logs warnings and errors of the node for the user.
func (p *program) logger() *slog.Logger {
	level := slog.LevelWarn
	if p.quiet {
		level = slog.LevelError
	}
	return slog.New(slog.NewTextHandler(p.stderr, &slog.HandlerOptions{Level: level}))
}

// with runs do with a connection and closes it.
func (p *program) with(do func(*client) error) error {
	c, err := p.connect()
	if err != nil {
		return err
	}
	err = explainRemote(do(c))
	if closed := c.close(); err == nil {
		err = closed // else it only repeats why the work failed
	}
	return err
}

// explainRemote maps the node's errors to exit codes and hints.
func explainRemote(err error) error {
	var remote *muxrpc.RemoteError
	if !errors.As(err, &remote) {
		return err
	}
	switch remote.Name {
	case node.ErrorUsage:
		return &codedError{code: exitUsage, err: err}
	case node.ErrorNoSpace:
		return withHint(err, hintNoSpace)
	}
	return err
}

// async calls a method that answers once.
func (p *program) async(ctx context.Context, method string, args ...any) (answer json.RawMessage, err error) {
	err = p.with(func(c *client) error {
		answer, err = c.Async(ctx, method, args...)
		return err
	})
	return answer, err
}

// printAsync calls a method and prints its answer.
func (p *program) printAsync(ctx context.Context, method string, args ...any) error {
	answer, err := p.async(ctx, method, args...)
	if err != nil {
		return err
	}
	return p.printJSON(answer)
}

// printSource calls a method and prints what it streams.
func (p *program) printSource(ctx context.Context, method string, args ...any) error {
	return p.with(func(c *client) error {
		stream, err := c.Source(ctx, method, args...)
		if err != nil {
			return err
		}
		return receive(ctx, stream, func(item muxrpc.Item) error { return p.printItem(item.JSON()) })
	})
}

// receive hands over every item of a stream until its end.
func receive(ctx context.Context, stream *muxrpc.Stream, take func(muxrpc.Item) error) error {
	for {
		item, err := stream.Recv(ctx)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = take(item)
		}
		if err != nil {
			stream.Close(nil)
			return err
		}
	}
}
