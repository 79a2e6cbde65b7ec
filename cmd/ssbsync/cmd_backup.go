package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/urfave/cli/v2"

	"github.com/ssbsync/ssbsync/spec/muxrpc"
	"github.com/ssbsync/ssbsync/store/durable"
	"github.com/ssbsync/ssbsync/sync/node"
	"github.com/ssbsync/ssbsync/sync/stick"
)

func (p *program) backupCommand() *cli.Command {
	return &cli.Command{
		Name:      "backup",
		Category:  groupNode,
		Usage:     "write the store, and the identity if you ask for it, to a file",
		ArgsUsage: "FILE",
		Description: `Writes everything the store holds at one moment, also while a server runs, and reads the file again. With
--with-secret your identity and settings go in as well, and the whole file is encrypted with a passphrase; without it
anybody who has the file can read what you can read, but not publish as you. Blobs are not in it: peers and sticks have them.

--move takes your identity to another machine: nothing can be published here from then on. Restore the file there, then
publish only there.

Examples:
   ssbsync backup --with-secret /media/me/STICK/me.ssb-backup
   ssbsync backup store.ssb-backup`,
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "with-secret", Usage: "put identity and settings in, and encrypt the file with a passphrase"},
			&cli.BoolFlag{Name: "move", Usage: "as --with-secret, and publish nothing here any more"},
			passphraseFlag(),
		},
		Action: func(c *cli.Context) error {
			if err := exactly(c, 1, "backup FILE"); err != nil {
				return err
			}
			b := &backupTask{program: p, ctx: c.Context, path: c.Args().First(), move: c.Bool("move"), secret: c.Bool("with-secret") || c.Bool("move")}
			if c.IsSet("passphrase-file") && !b.secret {
				return usageError("--passphrase-file is for --with-secret and --move")
			}
			return b.run(c.String("passphrase-file"))
		},
	}
}

// backupTask is one run of backup.
type backupTask struct {
	*program
	ctx          context.Context
	path         string
	secret, move bool

	passphrase string
	identity   identity
	asked      bool // the node was asked, and has locked the feed if it should
}

// backupReport is what backup prints with --json.
type backupReport struct {
	File     string `json:"file"`
	Bytes    int64  `json:"bytes"`
	Messages uint64 `json:"messages"`
	Own      int64  `json:"own"`      // sequence of the own feed
	Identity bool   `json:"identity"` // it is in the file, encrypted
	Moved    bool   `json:"moved"`    // nothing can be published here any more
	Verified bool   `json:"verified"` // read back from the medium, not from memory
}

func (b *backupTask) run(passphraseFile string) error {
	home, err := b.home()
	if err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(home, "secret")); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("nothing to back up: %s has no identity", home)
	}
	if _, err := os.Lstat(b.path); err == nil {
		return withHint(fmt.Errorf("%s is there already", b.path), "give another name, or remove it first")
	}
	if b.secret {
		if b.identity, err = readIdentity(home); err != nil {
			return err
		}
		if b.passphrase, err = b.program.passphrase(b.ctx, passphraseFile, true); err != nil {
			return err
		}
	}
	err = b.write()
	if err != nil && b.move && b.asked {
		return withHint(err, "publishing is locked here now; repeat the backup, or, if no copy is in use: ssbsync recover --done")
	}
	return err
}

// write writes the file, reads it again and reports.
func (b *backupTask) write() error {
	root, err := os.OpenRoot(filepath.Dir(b.path))
	if err != nil {
		return err
	}
	defer root.Close()
	var result durable.Result
	err = b.with(func(c *client) error {
		result, err = durable.WriteFile(root, filepath.Base(b.path), durable.Options{Perm: 0o600, Verify: true}, func(w io.Writer) error {
			return b.writeTo(c, w)
		})
		return err
	})
	if err != nil {
		return err
	}
	read, err := b.openBackup(b.path, func() (string, error) { return b.passphrase, nil })
	if err != nil {
		return errors.Join(fmt.Errorf("reading the backup again: %w", err), root.Remove(filepath.Base(b.path)))
	}
	defer read.Close()
	return b.report(read, result)
}

// writeTo writes the backup, encrypted if there is an identity in it.
func (b *backupTask) writeTo(c *client, w io.Writer) error {
	if !b.secret {
		return b.stream(c, w)
	}
	frame, err := b.identity.frame()
	if err != nil {
		return err
	}
	sealed, err := encrypt(w, b.passphrase)
	if err != nil {
		return err
	}
	if _, err := sealed.Write(frame); err != nil {
		return err
	}
	if err := b.stream(c, sealed); err != nil {
		return err
	}
	return sealed.Close()
}

// stream writes what the node sends.
func (b *backupTask) stream(c *client, w io.Writer) error {
	b.asked = true
	stream, err := c.Source(b.ctx, "ssbsync.backup", node.BackupOptions{Move: b.move})
	if err != nil {
		return err
	}
	bar := b.newProgress()
	defer bar.end()
	var done int64
	return receive(b.ctx, stream, func(item muxrpc.Item) error {
		n, err := w.Write(item.Body)
		done += int64(n)
		bar.update(stick.Progress{Phase: stick.Writing, Bytes: done})
		return err
	})
}

func (b *backupTask) report(read *backupFile, result durable.Result) error {
	h := read.Header()
	if b.json {
		return b.printLine(backupReport{b.path, result.Size, h.Messages, h.Own, b.secret, b.move, result.Verified})
	}
	fmt.Fprintf(b.stdout, "backed up %s, your feed up to %d, to %s: %s\n", plural(int64(h.Messages), "message"), h.Own, b.path, bytesText(result.Size))
	if !result.Verified {
		b.warn("read back, but perhaps from memory: this system cannot read past its cache")
	}
	switch {
	case b.move:
		b.notice("publishing is locked here from now on: restore the file on the other machine, and publish there")
	case !b.secret:
		b.notice("your identity is not in it: keep the file secret elsewhere, or back up with --with-secret")
	}
	return nil
}
