package main

import "github.com/urfave/cli/v2"

// The headings that `ssbsync --help` groups the commands under.
const (
	groupFeeds = "Your feed and others'"
	groupCarry = "Carrying feeds"
	groupNet   = "The network"
	groupNode  = "This node"
)

// commands lists every command, in the order that help shows them.
func (p *program) commands() []*cli.Command {
	return []*cli.Command{
		p.exportCommand(),
		p.importCommand(),
		p.syncCommand(),
		p.watchCommand(),
		p.enrollCommand(),
		p.stickCommand(),
		p.inspectCommand(),
		p.verifyCommand(),
		p.catCommand(),
		p.whoamiCommand(),
		p.publishCommand(),
		p.logCommand(),
		p.feedCommand(),
		p.histCommand(),
		p.getCommand(),
		p.linksCommand(),
		p.searchCommand(),
		p.privateCommand(),
		p.blobsCommand(),
		p.followCommand(),
		p.blockCommand(),
		p.friendsCommand(),
		p.serverCommand(),
		p.peersCommand(),
		p.connectCommand(),
		p.disconnectCommand(),
		p.inviteCommand(),
		p.hopsCommand(),
		p.replicateCommand(),
		p.statusCommand(),
		p.checkCommand(),
		p.compactCommand(),
		p.recoverCommand(),
		p.backupCommand(),
		p.restoreCommand(),
		p.forgetCommand(),
		p.adoptCommand(),
		p.callCommand(),
		p.completionCommand(),
	}
}
