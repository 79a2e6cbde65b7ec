package main

import (
	"encoding/json"
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/ssbsync/ssbsync/sync/node"
)

func (p *program) adoptCommand() *cli.Command {
	return &cli.Command{
		Name:     "adopt",
		Category: groupNode,
		Usage:    "go on with the identity of another program in this home folder",
		Description: `Two programs that publish with one identity fork its feed, and then nobody accepts more of it. So nothing is published
while the database of another program (ssb-server, Patchwork, Manyverse) lies in the home folder. When you have brought
in its messages and will not use it again, this command says so. Should its database change later, publishing stops.

Examples:
   ssb-server log | ssbsync import -
   ssbsync adopt`,
		Flags: []cli.Flag{&cli.BoolFlag{Name: "unpublished", Usage: "the other program never published a message"}},
		Action: func(c *cli.Context) error {
			if err := exactly(c, 0, "adopt"); err != nil {
				return err
			}
			answer, err := p.async(c.Context, "ssbsync.adopt", node.AdoptOptions{Unpublished: c.Bool("unpublished")})
			if err != nil {
				return err
			}
			if p.json {
				return p.printJSON(answer)
			}
			var report node.AdoptReport
			if err := json.Unmarshal(answer, &report); err != nil {
				return fmt.Errorf("reading the answer: %v", err)
			}
			if len(report.Logs) == 0 {
				p.notice("there is no other program's database here")
			}
			for _, log := range report.Logs {
				fmt.Fprintf(p.stdout, "adopted %s (%s): your feed goes on after message %d\n", log.Name, bytesText(log.Size), report.Own)
			}
			return nil
		},
	}
}
