package main

import "github.com/urfave/cli/v2"

func (p *program) forgetCommand() *cli.Command {
	return &cli.Command{
		Name:      "forget",
		Category:  groupCarry,
		Usage:     "stop carrying a feed that an import brought",
		ArgsUsage: "FEED",
		Description: `Feeds that "ssbsync import" was first to bring are carried: sticks keep them up to date from then on, whether you
follow them or not. This ends it. Messages that are stored stay.

Example:
   ssbsync forget @XQNqhYzon4REkXYuuJ4r+9UKSgoNpljksmKLJbEXrgk=.ed25519`,
		Action: func(c *cli.Context) error {
			feed, err := feedArgument(c, "forget FEED")
			if err != nil {
				return err
			}
			if _, err := p.async(c.Context, "ssbsync.forget", feed); err != nil {
				return err
			}
			p.notice("no longer carrying %s", feed)
			return nil
		},
	}
}
