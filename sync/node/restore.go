package node

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/ssbsync/ssbsync/spec/keys"
	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/store"
	"github.com/ssbsync/ssbsync/store/durable"
	"github.com/ssbsync/ssbsync/sync/stick"
)

// ErrNotEmpty says that a home folder to restore into has something in it.
var ErrNotEmpty = errors.New("not empty")

// RestoreOptions say what Restore puts where.
type RestoreOptions struct {
	Home   string        // a folder that is empty, or not there
	Backup *store.Backup // what OpenBackup returned

	// Secret and Config are the files of these names that came with it, or
	// empty.
	Secret, Config []byte

	NoBlobs bool // the blobs that are in it are left out

	// Progress, if set, is told the bytes written so far (stick.Writing), and
	// that the store is being checked (stick.Checking).
	Progress func(phase stick.Phase, done int64)
}

// RestoreReport tells what Restore did.
type RestoreReport struct {
	Messages int64
	Feeds    int64
	Own      int64    // sequence of the own feed
	Store    stick.ID // the new store id

	Blobs     int64
	BlobBytes int64
	BadBlobs  []refs.Blob // the first that are not what their ids say, and were left out
	Damaged   int64       // how many there are

	// Moved says that the identity was moved by this backup: nothing was
	// published since where it came from.
	Moved bool

	// OtherNetwork says that the store is of another network than the
	// config, and that no signature could be checked.
	OtherNetwork bool
}

// Restore makes a home folder of a backup. It does so beside the place, checks
// the store and every signature, and gives the folder its name at the end: a
// restore that fails, or is killed, leaves no home. The store gets a new id,
// and publishing is locked until the user has recovered (ssbsync.recover).
func Restore(ctx context.Context, o RestoreOptions) (r RestoreReport, err error) {
	if o.Home, err = restorePlace(o.Home); err != nil {
		return r, err
	}
	if err := o.check(); err != nil {
		return r, err
	}
	parent, base := filepath.Split(o.Home)
	if err := os.MkdirAll(parent, 0o700); err != nil {
		return r, err
	}
	root, err := os.OpenRoot(parent)
	if err != nil {
		return r, err
	}
	defer root.Close()
	removeStale(root, base)
	temp, unlock, err := makeStaging(root, base)
	if err != nil {
		return r, err
	}
	defer unlock()
	if r, err = o.fill(ctx, filepath.Join(parent, temp)); err == nil {
		err = putInPlace(root, temp, base)
	}
	if err != nil {
		return r, errors.Join(err, root.RemoveAll(temp))
	}
	return r, nil
}

// CheckRestore returns the error that Restore would begin with: it wraps
// ErrNotEmpty when there is something in the home folder.
func CheckRestore(home string) error {
	_, err := restorePlace(home)
	return err
}

// restorePlace returns the folder that a home path means, which must be empty
// or not there.
func restorePlace(home string) (string, error) {
	real, err := filepath.EvalSymlinks(home)
	if errors.Is(err, fs.ErrNotExist) {
		return filepath.Clean(home), nil
	}
	if err != nil {
		return "", err
	}
	entries, err := os.ReadDir(real)
	if err == nil && len(entries) > 0 {
		err = fmt.Errorf("%s is %w", home, ErrNotEmpty)
	}
	return real, err
}

// check looks whether the parts belong together.
func (o *RestoreOptions) check() error {
	if len(o.Secret) > 0 {
		pair, err := keys.ParseSecret(o.Secret)
		if err != nil {
			return fmt.Errorf("reading the secret of the backup: %v", err)
		}
		if own := o.Backup.Header().Identity; pair.Feed() != own {
			return fmt.Errorf("the secret of the backup is that of %s, its store that of %s", pair.Feed(), own)
		}
	}
	if _, _, err := o.network(); err != nil {
		return fmt.Errorf("reading the config of the backup: %v", err)
	}
	return nil
}

// network returns what the config says of the network, and whether that is the
// one of the backup.
func (o *RestoreOptions) network() (sign *keys.HMAC, same bool, err error) {
	var c Config
	if len(o.Config) > 0 {
		if err := c.decode(stripComments(o.Config)); err != nil {
			return nil, false, err
		}
	}
	sign, err = c.HMAC()
	if err != nil {
		return nil, false, err
	}
	shs, err := c.SHS()
	return sign, err == nil && networkID(shs, sign) == o.Backup.Header().Network, err
}

// configFile holds the settings.
const configFile = "config"

// stagingMark is in the names of folders that become homes.
const stagingMark = ".restoring-"

// makeStaging makes the folder in which the home is put together. As long as
// it is locked nobody takes it for one that was left behind.
func makeStaging(root *os.Root, base string) (name string, unlock func(), err error) {
	var random [8]byte
	rand.Read(random[:])
	name = base + stagingMark + hex.EncodeToString(random[:])
	if err := root.Mkdir(name, 0o700); err != nil {
		return "", nil, err
	}
	dir, err := durable.OpenDir(root, name)
	if err != nil {
		return "", nil, err
	}
	lockFolder(dir)
	return name, func() { dir.Close() }, nil
}

// removeStale removes what earlier restores of this home left that were
// killed.
func removeStale(root *os.Root, base string) {
	entries, err := fs.ReadDir(root.FS(), ".")
	if err != nil {
		return
	}
	for _, e := range entries {
		if random, ok := strings.CutPrefix(e.Name(), base+stagingMark); !ok || len(random) != 16 || !e.IsDir() {
			continue
		}
		dir, err := durable.OpenDir(root, e.Name())
		if err != nil {
			continue
		}
		if lockFolder(dir) {
			_ = root.RemoveAll(e.Name()) // if not, the next one tries again
		}
		dir.Close()
	}
}

// fill puts the home together in an empty folder.
func (o *RestoreOptions) fill(ctx context.Context, dir string) (r RestoreReport, err error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return r, err
	}
	defer root.Close()
	if err := root.Mkdir(ownDir, 0o700); err != nil {
		return r, err
	}
	if err := o.unpack(ctx, root); err != nil {
		return r, err
	}
	if r, err = o.renew(ctx, filepath.Join(dir, filepath.FromSlash(storeFile))); err != nil {
		return r, err
	}
	if err := o.unpackBlobs(ctx, dir, &r); err != nil {
		return r, err
	}
	for name, content := range map[string][]byte{configFile: o.Config, secretFile: o.Secret} {
		if len(content) == 0 {
			continue
		}
		if err := durable.WriteSecret(root, name, content); err != nil {
			return r, err
		}
	}
	return r, errors.Join(durable.SyncDir(root, ownDir), durable.SyncDir(root, "."))
}

// unpack writes the store.
func (o *RestoreOptions) unpack(ctx context.Context, root *os.Root) error {
	size := o.Backup.Header().Size + o.blobBytes()
	if free, _, err := durable.FreeSpace(root.Name()); err == nil && free < uint64(size) {
		return fmt.Errorf("the home folder needs %.1f MiB, and %.1f MiB are free: %w", mib(uint64(size)), mib(free), syscall.ENOSPC)
	}
	options := durable.Options{Perm: 0o600, Progress: func(done int64) { o.tell(stick.Writing, done) }}
	_, err := durable.WriteFile(root, filepath.FromSlash(storeFile), options, func(w io.Writer) error {
		return o.Backup.WriteDatabase(&contextWriter{ctx, w})
	})
	return err
}

// renew makes the unpacked store one of its own, and checks it.
func (o *RestoreOptions) renew(ctx context.Context, path string) (r RestoreReport, err error) {
	s, err := store.Open(path, store.Options{})
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	sign, same, err := o.network()
	if err != nil {
		return r, err
	}
	own := o.Backup.Header().Identity
	was, err := stick.NewGuard(s, own).Status()
	if err != nil {
		return r, err
	}
	o.tell(stick.Checking, 0)
	check, err := s.Check(ctx, store.CheckOptions{Signatures: same, Net: sign})
	if err != nil {
		return r, err
	}
	if !check.OK() {
		return r, fmt.Errorf("the store of the backup is damaged: %s", check.Problems[0])
	}
	if err := stick.Restored(s, own); err != nil {
		return r, err
	}
	return RestoreReport{
		Messages: check.Messages, Feeds: check.Feeds, Own: o.Backup.Header().Own, Store: s.ID(),
		Moved: was.Reason == stick.LockMoved, OtherNetwork: !same,
	}, nil
}

func (o *RestoreOptions) tell(phase stick.Phase, done int64) {
	if o.Progress != nil {
		o.Progress(phase, done)
	}
}

// putInPlace gives the finished folder its name.
func putInPlace(root *os.Root, temp, base string) error {
	// An empty folder may be in the way; one with something in it stays.
	if err := root.Remove(base); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return durable.Rename(root, temp, base, false)
}

// contextWriter writes until the context ends.
type contextWriter struct {
	ctx context.Context
	w   io.Writer
}

func (w *contextWriter) Write(b []byte) (int, error) {
	if err := w.ctx.Err(); err != nil {
		return 0, err
	}
	return w.w.Write(b)
}
