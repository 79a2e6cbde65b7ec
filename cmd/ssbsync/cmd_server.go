package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/ssbsync/ssbsync/store"
	"github.com/ssbsync/ssbsync/sync/node"
)

func (p *program) serverCommand() *cli.Command {
	return &cli.Command{
		Name:     "server",
		Category: groupNet,
		Usage:    "talk to other peers, and to apps, until stopped",
		Description: `Listens for peers on TCP (port 8008) and for apps on the socket in the home folder, finds peers on the local
network, dials those it knows, and replicates with them. Sticks that are enrolled (ssbsync enroll) are synced when they are plugged
in, folders when something changes there; "ssbsync watch" shows it. While it runs the other commands go through it. SIGTERM, Ctrl-C or
a terminal that is closed end it cleanly.

Where to listen can be set in the config file, as with ssb-server: connections.incoming, or host and port.

Examples:
   ssbsync server
   ssbsync server --port 8010 --log-level debug
   ssbsync server --auto all --watch /srv/share`,
		Flags: append([]cli.Flag{
			&cli.StringFlag{Name: "host", Usage: "listen on this `ADDRESS` only (default: all)"},
			&cli.IntFlag{Name: "port", Value: -1, Usage: "listen on this `PORT`, 0 for any free one (default: 8008)"},
			&cli.BoolFlag{Name: "no-lan", Usage: "neither look for peers on the local network nor be found there"},
			&cli.StringFlag{Name: "log-level", Aliases: []string{"logging.level"}, Usage: "debug, info, warn or error"},
			&cli.BoolFlag{Name: "no-watch", Usage: "sync neither sticks nor folders by itself"},
			&cli.StringSliceFlag{Name: "watch", Usage: "sync this plain `FOLDER` too, if it was enrolled anywhere; may be repeated"},
		}, append(autoFlags(), desktopFlags()...)...),
		Action: func(c *cli.Context) error {
			if err := exactly(c, 0, "server [--host ADDRESS] [--port PORT]"); err != nil {
				return err
			}
			return p.server(c)
		},
	}
}

func (p *program) server(c *cli.Context) error {
	home, err := p.home()
	if err != nil {
		return err
	}
	level, err := logLevel(c.String("log-level"), home)
	if err != nil {
		return err
	}
	if port := c.Int("port"); port > 65535 {
		return usageError("--port: %d is not a port", port)
	}
	media, err := mediaOptions(c)
	if err == nil {
		media.Folders, err = absolute(c.StringSlice("watch"))
	}
	if err != nil {
		return err
	}
	media.Off = c.Bool("no-watch")
	log := p.serverLogger(level)
	options, err := p.desktopSettings(c)
	if err != nil {
		return err
	}
	hook := newDesktopHook(options, log)
	n, err := p.openServer(c.Context, home, log, hook.handle)
	if err != nil {
		return err
	}
	end := hook.start(c.Context)
	err = p.serve(c, n, media, log)
	end()
	return errors.Join(err, n.Close())
}

// openServer opens the home folder, unless another server holds it. OnMedia,
// when not nil, is told what happens to media.
func (p *program) openServer(ctx context.Context, home string, log *slog.Logger, onMedia func(node.MediaEvent)) (*node.Node, error) {
	if err := node.CheckSocket(ctx, home); errors.Is(err, node.ErrRunning) {
		return nil, &codedError{code: exitInUse, err: fmt.Errorf("%s: %v", home, err), hint: "ssbsync status"}
	} else if err != nil {
		return nil, explainForeign(err)
	}
	n, err := node.Open(node.Options{
		Home: home, Timeout: storeTimeout, Version: version(), Log: log,
		Created: func(id string) { log.Info("made a new identity", "id", id) }, OnMedia: onMedia,
	})
	if errors.Is(err, store.ErrLocked) {
		return nil, inUse(home)
	}
	return n, err
}

// serve runs the node until the context ends, and tells the service manager.
func (p *program) serve(c *cli.Context, n *node.Node, media node.MediaOptions, log *slog.Logger) error {
	stopping := context.AfterFunc(c.Context, func() {
		log.Info("stopping")
		notifyManager("STOPPING=1", log)
	})
	defer stopping()
	err := n.Run(c.Context, node.ServerOptions{
		Host: c.String("host"), Port: c.Int("port"), NoLAN: c.Bool("no-lan"), Media: media,
		Ready: func(addresses []string) {
			for _, address := range addresses {
				log.Info("listening", "address", address)
			}
			notifyManager("READY=1", log)
		},
	})
	return explainForeign(err)
}

// serverLogger logs for whoever runs the server: as text, or as JSON lines with
// --json.
func (p *program) serverLogger(level slog.Level) *slog.Logger {
	o := &slog.HandlerOptions{Level: level}
	if os.Getenv("JOURNAL_STREAM") != "" { // the journal knows the time
		o.ReplaceAttr = func(groups []string, a slog.Attr) slog.Attr {
			if len(groups) == 0 && a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		}
	}
	if p.json {
		return slog.New(slog.NewJSONHandler(p.stderr, o))
	}
	return slog.New(slog.NewTextHandler(p.stderr, o))
}

// logLevel reads the level of a flag or, without one, of the config.
func logLevel(flag, home string) (slog.Level, error) {
	name := flag
	if name == "" {
		var err error
		if name, err = node.LogLevel(filepath.Clean(home)); err != nil {
			return 0, err
		}
	}
	switch strings.ToLower(name) {
	case "debug":
		return slog.LevelDebug, nil
	case "", "info", "notice":
		return slog.LevelInfo, nil
	case "warn", "warning":
		return slog.LevelWarn, nil
	case "error":
		return slog.LevelError, nil
	}
	return 0, usageError("%q is no log level: debug, info, warn or error", name)
}
