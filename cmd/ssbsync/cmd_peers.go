package main

import (
	"encoding/json"
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/ssbsync/ssbsync/spec/muxrpc"
	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/sync/node"
)

func (p *program) peersCommand() *cli.Command {
	return &cli.Command{
		Name:     "peers",
		Category: groupNet,
		Usage:    "list the peers that are connected or known",
		Description: `Prints one line for each peer: its state, its address and, when it is connected, what went over the connection.

Example:
   ssbsync peers`,
		Action: func(c *cli.Context) error {
			if err := exactly(c, 0, "peers"); err != nil {
				return err
			}
			return p.with(func(nd *client) error {
				stream, err := nd.Source(c.Context, "ssbsync.peers")
				if err != nil {
					return err
				}
				return receive(c.Context, stream, p.printPeer)
			})
		},
	}
}

func (p *program) printPeer(item muxrpc.Item) error {
	if p.json {
		return p.printJSON(item.JSON())
	}
	var peer node.PeerInfo
	if err := json.Unmarshal(item.JSON(), &peer); err != nil {
		return fmt.Errorf("reading a peer: %v", err)
	}
	state := "known"
	switch s := peer.Session; {
	case s != nil:
		state = fmt.Sprintf("connected  %s in, %s out, %s new", bytesText(s.BytesIn), bytesText(s.BytesOut), plural(s.New, "message"))
	case peer.Failure > 0:
		state = fmt.Sprintf("known      failed %d times", peer.Failure)
	}
	_, err := fmt.Fprintf(p.stdout, "%s\n    %s\n    %s\n", peer.Key, peer.Address, state)
	return err
}

func (p *program) connectCommand() *cli.Command {
	return &cli.Command{
		Name:      "connect",
		Category:  groupNet,
		Usage:     "connect the server to a peer",
		ArgsUsage: "ADDRESS",
		Description: `Makes the running server dial a peer, whose address it remembers. A known peer can be named by its id.

Examples:
   ssbsync connect net:192.168.1.5:8008~shs:XQNqhYzon4REkXYuuJ4r+9UKSgoNpljksmKLJbEXrgk=
   ssbsync connect @XQNqhYzon4REkXYuuJ4r+9UKSgoNpljksmKLJbEXrgk=.ed25519`,
		Action: func(c *cli.Context) error {
			if err := exactly(c, 1, "connect ADDRESS"); err != nil {
				return err
			}
			answer, err := p.async(c.Context, "gossip.connect", c.Args().First())
			if err != nil {
				return err
			}
			if p.json {
				return p.printJSON(answer)
			}
			var peer node.PeerInfo
			if err := json.Unmarshal(answer, &peer); err != nil {
				return fmt.Errorf("reading the answer: %v", err)
			}
			_, err = fmt.Fprintf(p.stdout, "connected to %s\n", peer.Key)
			return err
		},
	}
}

func (p *program) disconnectCommand() *cli.Command {
	return &cli.Command{
		Name:      "disconnect",
		Category:  groupNet,
		Usage:     "end the server's connection to a peer",
		ArgsUsage: "FEED",
		Description: `Ends the connection to a peer. The server may connect to it again; "ssbsync block" is for good.

Example:
   ssbsync disconnect @XQNqhYzon4REkXYuuJ4r+9UKSgoNpljksmKLJbEXrgk=.ed25519`,
		Action: func(c *cli.Context) error {
			feed, err := feedArgument(c, "disconnect FEED")
			if err != nil {
				return err
			}
			if _, err := p.async(c.Context, "gossip.disconnect", feed); err != nil {
				return err
			}
			p.notice("disconnected from %s", feed)
			return nil
		},
	}
}

func (p *program) hopsCommand() *cli.Command {
	return &cli.Command{
		Name:      "hops",
		Category:  groupNet,
		Usage:     "print how far feeds are from a feed",
		ArgsUsage: "[FEED]",
		Description: `Prints the feeds that a feed's follows reach and how many steps away they are, as "ssbsync friends" does for your own.

Example:
   ssbsync hops @XQNqhYzon4REkXYuuJ4r+9UKSgoNpljksmKLJbEXrgk=.ed25519 --max 1`,
		Flags: []cli.Flag{&cli.IntFlag{Name: "max", Usage: "at most `N` steps (default: friends.hops of the config)"}},
		Action: func(c *cli.Context) error {
			options := map[string]any{}
			if c.NArg() > 0 {
				feed, err := feedArgument(c, "hops [FEED]")
				if err != nil {
					return err
				}
				options["start"] = feed
			}
			if c.IsSet("max") {
				options["max"] = c.Int("max")
			}
			return p.printAsync(c.Context, "friends.hops", options)
		},
	}
}

func (p *program) replicateCommand() *cli.Command {
	return &cli.Command{
		Name:      "replicate",
		Category:  groupNet,
		Usage:     "replicate a feed that your follows do not reach",
		ArgsUsage: "[FEED]",
		Description: `Takes and gives the messages of a feed from now on, although nobody you know follows it. Without a feed it lists those
that are replicated so.

Examples:
   ssbsync replicate @XQNqhYzon4REkXYuuJ4r+9UKSgoNpljksmKLJbEXrgk=.ed25519
   ssbsync replicate --stop @XQNqhYzon4REkXYuuJ4r+9UKSgoNpljksmKLJbEXrgk=.ed25519`,
		Flags: []cli.Flag{&cli.BoolFlag{Name: "stop", Usage: "no longer"}},
		Action: func(c *cli.Context) error {
			o := node.ReplicateOptions{Stop: c.Bool("stop")}
			if c.NArg() > 0 {
				feed, err := feedArgument(c, "replicate [--stop] [FEED]")
				if err != nil {
					return err
				}
				o.Feed = &feed
			} else if o.Stop {
				return usageError("usage: ssbsync replicate --stop FEED")
			}
			answer, err := p.async(c.Context, "ssbsync.replicate", o)
			if err != nil {
				return err
			}
			if p.json {
				return p.printJSON(answer)
			}
			var feeds []refs.Feed
			if err := json.Unmarshal(answer, &feeds); err != nil {
				return fmt.Errorf("reading the answer: %v", err)
			}
			for _, feed := range feeds {
				fmt.Fprintln(p.stdout, feed)
			}
			return nil
		},
	}
}
