package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

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
		Usage:     "write the store, your files, and the identity if you ask for it, to a file",
		ArgsUsage: "FILE",
		Description: `Writes everything the store holds at one moment, also while a server runs, and reads the file again. With
--with-secret your identity and settings go in as well, and the whole file is encrypted with a passphrase; without it
anybody who has the file can read what you can read, but not publish as you.

Of the blobs those that you added go in too. The others were fetched, and come again from peers and sticks; --blobs all
takes them in as well, --blobs none leaves all out.

--move takes your identity to another machine: nothing can be published here from then on. Restore the file there, then
publish only there.

Examples:
   ssbsync backup --with-secret /media/me/STICK/me.ssb-backup
   ssbsync backup --blobs all store.ssb-backup`,
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "with-secret", Usage: "put identity and settings in, and encrypt the file with a passphrase"},
			&cli.BoolFlag{Name: "move", Usage: "as --with-secret, and publish nothing here any more"},
			&cli.StringFlag{Name: "blobs", Value: string(node.OwnBlobs), Usage: "`WHICH` blobs go in: none, own or all"},
			passphraseFlag(),
		},
		Action: func(c *cli.Context) error {
			if err := exactly(c, 1, "backup FILE"); err != nil {
				return err
			}
			b := &backupTask{program: p, ctx: c.Context, path: c.Args().First(), move: c.Bool("move"), secret: c.Bool("with-secret") || c.Bool("move")}
			switch b.blobs = node.BackupBlobs(c.String("blobs")); b.blobs {
			case node.NoBlobs, node.OwnBlobs, node.AllBlobs:
			default:
				return usageError("--blobs is none, own or all, not %q", c.String("blobs"))
			}
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
	blobs        node.BackupBlobs

	passphrase string
	identity   identity
	asked      bool // the node was asked, and has locked the feed if it should
	report     node.BackupReport
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

	Blobs     int64          `json:"blobs"`     // that are in it
	BlobBytes int64          `json:"blobBytes"` // of those
	Left      int64          `json:"left"`      // fetched blobs that are not in it
	Damaged   int64          `json:"damaged"`   // blobs that are not in it because their files are damaged
	Bad       []node.BadBlob `json:"bad,omitempty"`
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
	if err != nil && b.move && b.asked && exitCode(err) != exitPartly {
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
	if errors.Is(err, syscall.EFBIG) {
		return withHint(err, "this file system takes no files that large (FAT32: 4 GiB): format it as exFAT, or back up with --blobs own or none")
	}
	if err != nil {
		return err
	}
	read, err := b.openBackup(b.path, func() (string, error) { return b.passphrase, nil })
	if err != nil {
		return errors.Join(fmt.Errorf("reading the backup again: %w", err), root.Remove(filepath.Base(b.path)))
	}
	defer read.Close()
	if count, size := read.Blobs(); count != b.report.Blobs || size != b.report.Bytes {
		return fmt.Errorf("reading the backup again: there are %d blobs of %d bytes in it, not %d of %d", count, size, b.report.Blobs, b.report.Bytes)
	}
	return b.print(read, result)
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
	stream, err := c.Source(b.ctx, "ssbsync.backup", node.BackupOptions{Move: b.move, Blobs: b.blobs})
	if err != nil {
		return err
	}
	bar := b.newProgress()
	defer bar.end()
	var done int64
	return receive(b.ctx, stream, func(item muxrpc.Item) error {
		if item.Kind == muxrpc.JSON {
			return item.Unmarshal(&b.report)
		}
		n, err := w.Write(item.Body)
		done += int64(n)
		bar.update(stick.Progress{Phase: stick.Writing, Bytes: done})
		return err
	})
}

// print reports. Blobs whose files are damaged make it done only partly.
func (b *backupTask) print(read *backupFile, result durable.Result) (err error) {
	h, r := read.Header(), &b.report
	if r.Damaged > 0 {
		err = withHint(partly(plural(r.Damaged, "damaged blob")+" left out"), "ssbsync check --repair asks peers and sticks for them again")
	}
	if b.json {
		return errors.Join(b.printLine(backupReport{
			b.path, result.Size, h.Messages, h.Own, b.secret, b.move, result.Verified, r.Blobs, r.Bytes, r.Left, r.Damaged, r.Bad,
		}), err)
	}
	blobs := ""
	if r.Blobs > 0 {
		blobs = fmt.Sprintf(", %s (%s)", plural(r.Blobs, "blob"), bytesText(r.Bytes))
	}
	fmt.Fprintf(b.stdout, "backed up %s, your feed up to %d%s, to %s: %s\n", plural(int64(h.Messages), "message"), h.Own, blobs, b.path, bytesText(result.Size))
	for _, bad := range r.Bad {
		b.warn("blob %s is not in it: %s", bad.ID, bad.Reason)
	}
	if !result.Verified {
		b.warn("read back, but perhaps from memory: this system cannot read past its cache")
	}
	switch {
	case b.move:
		b.notice("publishing is locked here from now on: restore the file on the other machine, and publish there")
	case !b.secret:
		b.notice("your identity is not in it: keep the file secret elsewhere, or back up with --with-secret")
	}
	if r.Left > 0 {
		b.notice("%s not in it, which peers and sticks have: --blobs all takes them in", plural(r.Left, "fetched blob"))
	}
	return err
}
