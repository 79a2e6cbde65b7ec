package main

import (
	"encoding/json"
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/ssbsync/ssbsync/sync/node"
)

func (p *program) statusCommand() *cli.Command {
	return &cli.Command{
		Name:     "status",
		Category: groupNode,
		Usage:    "say what this node holds and whether all is well",
		Description: `Prints the identity, what the store holds, which feeds wait for earlier messages or are forked, and whether you may
publish.

Example:
   ssbsync status`,
		Action: func(c *cli.Context) error {
			if err := exactly(c, 0, "status"); err != nil {
				return err
			}
			answer, err := p.async(c.Context, "ssbsync.status")
			if err != nil {
				return err
			}
			if p.json {
				return p.printJSON(answer)
			}
			var status node.Status
			if err := json.Unmarshal(answer, &status); err != nil {
				return fmt.Errorf("reading the status: %v", err)
			}
			p.printStatus(&status)
			return nil
		},
	}
}

// muchUnused is how many bytes of the store may be unused before status speaks
// of it: new messages fill them.
const muchUnused = 16 << 20

func (p *program) printStatus(s *node.Status) {
	line := func(name, format string, args ...any) {
		fmt.Fprintf(p.stdout, "%-11s "+format+"\n", append([]any{name}, args...)...)
	}
	line("identity", "%s", s.ID)
	line("home", "%s", s.Home)
	line("store", "%s of %s (store %s)", plural(int64(s.Messages), "message"), plural(int64(s.Feeds), "feed"), s.Store)
	if s.Disk.Unused > muchUnused && s.Disk.Unused > s.Disk.Size/4 {
		line("disk", "%s, %s of them unused: ssbsync compact", bytesText(s.Disk.Size), bytesText(s.Disk.Unused))
	}
	if s.Server != nil {
		line("server", "running as %s (process %d), %s", s.Server.User, s.Server.PID, plural(int64(s.Server.Connected), "peer")+" connected")
		for _, address := range s.Server.Addresses {
			line("", "%s", address)
		}
	}
	line("own feed", "%s", plural(s.Own, "message"))
	line("reach", "%s within %d hops, %s carried", plural(int64(s.Reach), "feed"), s.Hops, plural(int64(s.Carried), "feed"))
	if s.Waiting.Messages > 0 {
		line("waiting", "%s of %s for earlier ones, %s", plural(int64(s.Waiting.Messages), "message"), plural(int64(s.Waiting.Feeds), "feed"), bytesText(s.Waiting.Bytes))
	}
	for _, fork := range s.Forks {
		line("forked", "%s at sequence %d: nothing more of it is accepted", fork.Feed, fork.Seq)
	}
	p.printGuard(s)
}

func (p *program) printGuard(s *node.Status) {
	switch g := s.Guard; {
	case g.Forked:
		p.warn("your own feed is forked: nothing more can be published with this identity")
	case g.Locked:
		p.warn("publishing is locked: %s (have %d)", lockText(&g), s.Own)
		for _, asked := range g.Asked {
			fmt.Fprintf(p.stderr, "  asked so far: %s\n", asked)
		}
		p.hint("%s", unlockHint(&g))
	}
}
