package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/ssbsync/ssbsync/sync/node"
	"github.com/ssbsync/ssbsync/sync/stick"
)

func (p *program) restoreCommand() *cli.Command {
	return &cli.Command{
		Name:      "restore",
		Category:  groupNode,
		Usage:     "make a home folder of a backup",
		ArgsUsage: "FILE",
		Description: `Makes the home folder, which must be empty or not there, of a file that backup wrote. The file, the store and every
signature are checked first; when something fails, no home folder is made.

What you published after the backup is not in it, so publishing is locked: import from every stick and meet every peer
that may have more of your feed, then: ssbsync recover --done

Example:
   ssbsync --path ~/.ssb restore /media/me/STICK/me.ssb-backup`,
		Flags: []cli.Flag{passphraseFlag()},
		Action: func(c *cli.Context) error {
			if err := exactly(c, 1, "restore FILE"); err != nil {
				return err
			}
			return p.restore(c.Context, c.Args().First(), c.String("passphrase-file"))
		},
	}
}

// restoreReport is what restore prints with --json.
type restoreReport struct {
	Home     string   `json:"home"`
	Messages int64    `json:"messages"`
	Feeds    int64    `json:"feeds"`
	Own      int64    `json:"own"`      // sequence of the own feed
	Store    stick.ID `json:"store"`    // the new store id
	Identity bool     `json:"identity"` // it was in the file
}

func (p *program) restore(ctx context.Context, path, passphraseFile string) error {
	home, err := p.home()
	if err != nil {
		return err
	}
	if err := node.CheckRestore(home); err != nil {
		return explainRestore(err)
	}
	b, err := p.openBackup(path, func() (string, error) { return p.passphrase(ctx, passphraseFile, false) })
	if err != nil {
		return err
	}
	defer b.Close()
	bar := p.newProgress()
	r, err := node.Restore(ctx, node.RestoreOptions{
		Home: home, Backup: b.Backup, Secret: []byte(b.identity.Secret), Config: []byte(b.identity.Config),
		Progress: func(phase stick.Phase, done int64) {
			bar.update(stick.Progress{Phase: phase, Bytes: done, TotalBytes: b.Header().Size})
		},
	})
	bar.end()
	if err != nil {
		return explainRestore(fmt.Errorf("restoring %s: %w", path, err))
	}
	return p.printRestored(home, b, &r)
}

// explainRestore says what to do about a home folder that is in use.
func explainRestore(err error) error {
	if errors.Is(err, node.ErrNotEmpty) {
		return withHint(err, "give a folder that is empty or not there: ssbsync --path DIR restore FILE")
	}
	return err
}

func (p *program) printRestored(home string, b *backupFile, r *node.RestoreReport) error {
	hasIdentity := b.identity.Secret != ""
	if p.json {
		return p.printLine(restoreReport{home, r.Messages, r.Feeds, r.Own, r.Store, hasIdentity})
	}
	fmt.Fprintf(p.stdout, "restored %s of %s to %s\n", plural(r.Messages, "message"), plural(r.Feeds, "feed"), home)
	if !hasIdentity {
		p.warn("no identity is in the backup: put its files secret and config into %s before anything else, or a new one is made", home)
	}
	if r.OtherNetwork {
		p.warn("the messages are of another network than the settings say, and their signatures were not checked")
	}
	hint := "bring in what sticks and peers have of your feed, then: ssbsync recover --done"
	if r.Moved {
		hint = "nothing was published since where it came from, so go on: ssbsync recover --done"
	}
	p.notice("publishing is locked: your feed is here up to %d", r.Own)
	if !p.quiet {
		fmt.Fprintf(p.stderr, "hint: %s\n", hint)
	}
	return nil
}
