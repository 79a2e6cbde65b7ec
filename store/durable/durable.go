// Package durable writes files that survive a pulled plug, and opens files in
// folders that nobody vouches for.
//
// Everything happens below an os.Root, so that no name and no symbolic link
// leads out of the folder it was meant for.
package durable

import (
	"errors"
	"io"
	"io/fs"
	"os"
)

var (
	// ErrNotRegular says that a name belongs to a folder, a link, a pipe, a
	// device or a socket where a plain file was expected.
	ErrNotRegular = errors.New("not a regular file")

	// ErrTooLarge says that a file is larger than the caller allows.
	ErrTooLarge = errors.New("file is too large")

	// ErrDiffers says that the medium gave back other bytes than were
	// written to it.
	ErrDiffers = errors.New("what was read back differs from what was written")
)

// IsFull reports whether an error says that there is no room left on a medium,
// or for this user on it.
func IsFull(err error) bool { return isFull(err) }

// Options say how WriteFile writes. The zero value makes a new file, mode 0644
// before the umask.
type Options struct {
	// Perm is the mode of the file; 0 means 0644.
	Perm fs.FileMode

	// Replace allows an existing file to be replaced, atomically. Without
	// it, an existing file is fs.ErrExist.
	Replace bool

	// Temp is the name, below the same root and on the same medium, under
	// which the file is written before it gets its own. Empty means a random
	// name beside it, which begins with a dot and ends in ".part".
	Temp string

	// Verify asks to drop what the system remembers of the file, to read it
	// from the medium and to compare.
	Verify bool

	// Progress, if set, is called after every step that has reached the
	// medium with the number of bytes there.
	Progress func(written int64)

	fault func(step string, f *os.File) error // tests
}

// Result tells what WriteFile did.
type Result struct {
	Size     int64
	SHA256   [32]byte
	Verified bool // read back from the medium and found equal
}

// WriteFile writes a file under another name, makes sure that it is on the
// medium and renames it: at any time there is either the whole file under name
// or what was there before. When it fails, a new file is not there, and the
// temporary one is removed.
//
// Result.Verified is false when verifying was not asked for or the system's
// cache could not be dropped: written, not verified, which is no error.
func WriteFile(root *os.Root, name string, o Options, write func(io.Writer) error) (Result, error) {
	return writeFile(root, name, o, write)
}

// WriteBytes is WriteFile with the content in memory.
func WriteBytes(root *os.Root, name string, data []byte, o Options) (Result, error) {
	return WriteFile(root, name, o, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}

// WriteSecret writes a new file that only its owner may read, whatever the
// umask. An existing one is fs.ErrExist.
func WriteSecret(root *os.Root, name string, data []byte) error {
	_, err := WriteBytes(root, name, data, Options{Perm: 0o600})
	return err
}
