package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/urfave/cli/v2"

	"github.com/ssbsync/ssbsync/spec/muxrpc"
	"github.com/ssbsync/ssbsync/sync/node"
)

// autoFlags are the flags of everything that visits sticks by itself.
func autoFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "auto", Usage: "visit by itself: `WHICH` sticks: enrolled, all that have a marker, or ask about those not enrolled (default: enrolled)"},
		&cli.StringFlag{Name: "on-done", Usage: "have the shell run `COMMAND` after each visit, with SSBSYNC_RESULT, SSBSYNC_LABEL … in its environment"},
	}
}

// mediaOptions reads those flags.
func mediaOptions(c *cli.Context) (o node.MediaOptions, err error) {
	o.OnDone = c.String("on-done")
	if text := c.String("auto"); text != "" {
		if o.Auto, err = node.ParseAuto(text); err != nil {
			return o, usageError("--auto: %v", err)
		}
	}
	return o, nil
}

// absolute makes paths absolute.
func absolute(paths []string) ([]string, error) {
	all := make([]string, len(paths))
	for i, path := range paths {
		var err error
		if all[i], err = filepath.Abs(path); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func (p *program) watchCommand() *cli.Command {
	return &cli.Command{
		Name:      "watch",
		Category:  groupCarry,
		Usage:     "sync sticks by itself as they are plugged in, without network",
		ArgsUsage: "[DIR…]",
		Description: `Waits for sticks and syncs each that is plugged in, and plain folders whenever something changes there. One line tells of
each visit, and when it is safe to remove the stick. Sticks that were never enrolled, exported to or synced with by
hand are left alone, unless --auto says otherwise; folders named here are synced if ssbsync enroll made them sticks, by
whomever. Ctrl-C ends it cleanly.

"ssbsync server" does the same and talks to the network too. While one runs, this command shows what it does.

The command of --on-done gets its facts by environment variables: SSBSYNC_STICK (the id), SSBSYNC_LABEL, SSBSYNC_PATH,
SSBSYNC_DEVICE, SSBSYNC_RESULT (done, partly, failed, interrupted, removed), SSBSYNC_SAFE (1 or 0), SSBSYNC_IN, SSBSYNC_OUT
(messages), SSBSYNC_SECONDS, SSBSYNC_ERROR. It may take 20 seconds.

Where there is a desktop, it shows a notification for each visit. Where there is none, --mount has UDisks2 mount the
sticks, and --power-off has it power them off when they are safe to remove.

Examples:
   ssbsync watch
   ssbsync watch ~/Sync/ssb --auto all
   ssbsync watch --on-done 'test $SSBSYNC_SAFE = 1 && beep'`,
		Flags: append(autoFlags(), desktopFlags()...),
		Action: func(c *cli.Context) error {
			o, err := mediaOptions(c)
			if err == nil {
				o.Folders, err = absolute(c.Args().Slice())
			}
			if err != nil {
				return err
			}
			desktop, err := p.desktopSettings(c)
			if err != nil {
				return err
			}
			return p.watch(c.Context, o, desktop)
		},
	}
}

// watch shows the events of the server, or of a node of its own.
func (p *program) watch(ctx context.Context, o node.MediaOptions, desktop desktopOptions) error {
	home, err := p.home()
	if err != nil {
		return err
	}
	session, err := node.Dial(ctx, home)
	if err == nil {
		defer session.Close()
		if desktop.asked {
			p.warn("--mount, --power-off: what is mounted is up to the running server")
		}
		return p.watchServer(ctx, session, o)
	}
	if !errors.Is(err, node.ErrNobody) {
		return explainForeign(err)
	}
	return p.watchAlone(ctx, home, o, desktop)
}

// watchAlone visits by itself, until the context ends.
func (p *program) watchAlone(ctx context.Context, home string, o node.MediaOptions, desktop desktopOptions) error {
	for _, folder := range o.Folders {
		if !isFolder(folder) {
			p.warn("%s: no such folder: it is watched for", pathText(folder))
		}
	}
	view, hook := p.newMediaView(), newDesktopHook(desktop, p.logger())
	n, err := p.openServer(ctx, home, p.logger(), func(e node.MediaEvent) { view.show(e); hook.handle(e) })
	if err != nil {
		return err
	}
	end := hook.start(ctx)
	session, leave := ownSession(n)
	view.answers(ctx, session)
	err = n.Run(ctx, node.ServerOptions{Offline: true, Media: o, Ready: func([]string) {
		p.notice("waiting for sticks (Ctrl-C ends)")
	}})
	end()
	view.end()
	leave()
	return errors.Join(explainForeign(err), n.Close())
}

// ownSession connects to a node in this process.
func ownSession(n *node.Node) (session *muxrpc.Session, leave func()) {
	near, far := muxrpc.Pipe()
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = n.Serve(context.Background(), far) // ends with near
	}()
	session = muxrpc.NewSession(near, muxrpc.Config{})
	return session, func() {
		session.Close()
		<-served
	}
}

// watchServer shows what a running server does.
func (p *program) watchServer(ctx context.Context, session *muxrpc.Session, o node.MediaOptions) error {
	p.notice("a server is running: these are its visits (Ctrl-C ends)")
	for _, folder := range o.Folders {
		p.warn("%s: what is watched is up to the running server: ssbsync enroll it, or name it in the config", pathText(folder))
	}
	if o.Auto != "" && o.Auto != node.AutoAsk {
		p.warn("--auto: what is visited is up to the running server")
	}
	view := p.newMediaView()
	view.answers(ctx, session)
	show := view.show
	if o.OnDone != "" {
		hook := node.OnDone(o.OnDone, p.logger())
		show = func(e node.MediaEvent) { view.show(e); hook(e) }
	}
	stream, err := session.Source(ctx, "ssbsync.stick.events", node.EventsOptions{Old: true, Progress: true})
	if err != nil {
		return err
	}
	err = receive(ctx, stream, func(item muxrpc.Item) error {
		var e node.MediaEvent
		if err := item.Unmarshal(&e); err != nil {
			return fmt.Errorf("reading an event: %v", err)
		}
		show(e)
		return nil
	})
	view.end()
	switch {
	case ctx.Err() != nil:
		return nil
	case err == nil:
		return errors.New("the server ended")
	}
	return explainRemote(err)
}
