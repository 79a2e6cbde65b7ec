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
	alone bool // the node runs in this process, for this command only
}

// lockStep is how long a command waits for the store before it looks again for
// a server: one that is about to start holds the store first.
const lockStep = 250 * time.Millisecond

// connect connects to the server of the home folder or, if there is none, to a
// node that it opens in this process.
func (p *program) connect() (*client, error) {
	home, err := p.home()
	if err != nil {
		return nil, err
	}
	for began := time.Now(); ; {
		session, err := node.Dial(context.Background(), home)
		if err == nil {
			return &client{Session: session, close: session.Close}, nil
		}
		if !errors.Is(err, node.ErrNobody) {
			return nil, explainForeign(err)
		}
		n, err := p.open(home, lockStep)
		if err == nil {
			return attach(n), nil
		}
		if !errors.Is(err, store.ErrLocked) {
			return nil, err
		}
		if time.Since(began) > storeTimeout {
			return nil, inUse(home)
		}
	}
}

// open opens a node in this process.
func (p *program) open(home string, timeout time.Duration) (*node.Node, error) {
	n, err := node.Open(node.Options{
		Home: home, Timeout: timeout, Version: version(), Log: p.logger(),
		Created: func(id string) { p.notice("made a new identity in %s: %s", home, id) },
	})
	if errors.Is(err, syscall.ENOSPC) {
		err = withHint(err, hintNoSpace)
	}
	return n, err
}

func inUse(home string) error {
	return &codedError{code: exitInUse, err: fmt.Errorf("%s is in use by another process", home), hint: "wait until it is done, or give another home folder with --path"}
}

// explainForeign gives the exit code to errors that tell of another server.
func explainForeign(err error) error {
	var foreign *node.ForeignError
	if errors.As(err, &foreign) {
		return &codedError{code: exitInUse, err: err, hint: "stop it, or give another home folder with --path"}
	}
	return err
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
	return &client{Session: session, alone: true, close: func() error {
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
	case node.ErrorFolder:
		return withHint(err, "give that user access, or stop the server and repeat the command")
	case node.ErrorOther:
		return withHint(err, "stop the other program for good, bring in its messages (ssb-server log | ssbsync import -), then: ssbsync adopt")
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

// printStream calls a method and prints what it streams.
func (p *program) printStream(ctx context.Context, c *client, method string, args ...any) error {
	stream, err := c.Source(ctx, method, args...)
	if err != nil {
		return err
	}
	return receive(ctx, stream, p.printStreamed)
}

// printStreamed prints one item of a stream; bytes as they are.
func (p *program) printStreamed(item muxrpc.Item) error {
	if item.Kind == muxrpc.Binary {
		_, err := p.stdout.Write(item.Body)
		return err
	}
	return p.printItem(item.JSON())
}

// whoami asks a node for its identity.
func whoami(ctx context.Context, c *client) (string, error) {
	var who struct {
		ID string `json:"id"`
	}
	answer, err := c.Async(ctx, "whoami")
	if err == nil {
		err = json.Unmarshal(answer, &who)
	}
	return who.ID, err
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
