package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/ssbsync/ssbsync/spec/refs"
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
		Flags: []cli.Flag{passphraseFlag(), &cli.BoolFlag{Name: "no-blobs", Usage: "leave out the blobs that are in the file"}},
		Action: func(c *cli.Context) error {
			if err := exactly(c, 1, "restore FILE"); err != nil {
				return err
			}
			return p.restore(c.Context, c.Args().First(), c.String("passphrase-file"), c.Bool("no-blobs"))
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

	Blobs     int64       `json:"blobs"`     // restored
	BlobBytes int64       `json:"blobBytes"` // of those
	Damaged   int64       `json:"damaged"`   // blobs that are not what their ids say, and were left out
	Bad       []refs.Blob `json:"bad,omitempty"`
}

func (p *program) restore(ctx context.Context, path, passphraseFile string, noBlobs bool) error {
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
	total := b.Header().Size
	if _, size := b.Blobs(); !noBlobs {
		total += size
	}
	r, err := node.Restore(ctx, node.RestoreOptions{
		Home: home, Backup: b.Backup, Secret: []byte(b.identity.Secret), Config: []byte(b.identity.Config), NoBlobs: noBlobs,
		Progress: func(phase stick.Phase, done int64) {
			bar.update(stick.Progress{Phase: phase, Bytes: done, TotalBytes: total})
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
	var err error
	if r.Damaged > 0 {
		err = withHint(partly(plural(r.Damaged, "damaged blob")+" left out"), "what messages refer to is asked for again; else: ssbsync blobs want ID")
	}
	if p.json {
		return errors.Join(p.printLine(restoreReport{home, r.Messages, r.Feeds, r.Own, r.Store, hasIdentity, r.Blobs, r.BlobBytes, r.Damaged, r.BadBlobs}), err)
	}
	blobs := ""
	if r.Blobs > 0 {
		blobs = fmt.Sprintf(", and %s (%s),", plural(r.Blobs, "blob"), bytesText(r.BlobBytes))
	}
	fmt.Fprintf(p.stdout, "restored %s of %s%s to %s\n", plural(r.Messages, "message"), plural(r.Feeds, "feed"), blobs, home)
	for _, id := range r.BadBlobs {
		p.warn("blob %s is something else in the backup", id)
	}
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
		p.hint("%s", hint)
	}
	return err
}
