package main

import "github.com/urfave/cli/v2"

func (p *program) whoamiCommand() *cli.Command {
	return &cli.Command{
		Name:     "whoami",
		Category: groupFeeds,
		Usage:    "print the id of your own feed",
		Description: `Prints the id of the identity in the home folder, which is made at the first use.

Example:
   ssbsync whoami`,
		Action: func(c *cli.Context) error {
			if err := exactly(c, 0, "whoami"); err != nil {
				return err
			}
			return p.printAsync(c.Context, "whoami")
		},
	}
}
