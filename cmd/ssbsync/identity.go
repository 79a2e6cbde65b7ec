package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"filippo.io/age"
)

// identity is what an encrypted backup holds in front of the store
// (spec/backup.md, section 3): files of the home folder.
type identity struct {
	Secret string `json:"secret"`
	Config string `json:"config,omitempty"`
}

const (
	identityMagic = 0x184D2A55
	maxIdentity   = 4 << 20 // bytes
	maxHomeFile   = 1 << 20 // bytes of secret and of config

	// ageMagic is how an age file begins.
	ageMagic = "age-encryption.org/v1\n"

	// workFactor is what deriving the key of a passphrase costs: 2^18 rounds
	// of scrypt, about a second and 256 MiB.
	workFactor = 18
)

// readIdentity reads the identity of a home folder.
func readIdentity(home string) (id identity, err error) {
	if id.Secret, err = readHomeFile(home, "secret"); err != nil {
		return id, fmt.Errorf("reading the identity: %w", err)
	}
	id.Config, err = readHomeFile(home, "config")
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	if err != nil {
		return id, fmt.Errorf("reading the settings: %w", err)
	}
	return id, nil
}

func readHomeFile(home, name string) (string, error) {
	f, err := os.Open(filepath.Join(home, name))
	if err != nil {
		return "", err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxHomeFile+1))
	if err == nil && len(b) > maxHomeFile {
		err = fmt.Errorf("%s is larger than %d bytes", f.Name(), maxHomeFile)
	}
	return string(b), err
}

// frame returns the identity as it stands in a backup.
func (id identity) frame() ([]byte, error) {
	content, err := json.Marshal(id)
	if err != nil {
		return nil, err
	}
	b := binary.LittleEndian.AppendUint32(nil, identityMagic)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(content)))
	return append(b, content...), nil
}

// parseIdentity reads the frame at the beginning of what was decrypted, and
// returns how long it is.
func parseIdentity(r io.ReaderAt) (id identity, length int64, err error) {
	var head [8]byte
	if _, err := r.ReadAt(head[:], 0); err != nil {
		return id, 0, fmt.Errorf("reading the identity: %w", err)
	}
	size := binary.LittleEndian.Uint32(head[4:])
	if binary.LittleEndian.Uint32(head[:]) != identityMagic || size > maxIdentity {
		return id, 0, errors.New("reading the identity: there is none in this file")
	}
	content := make([]byte, size)
	if _, err := r.ReadAt(content, int64(len(head))); err != nil {
		return id, 0, fmt.Errorf("reading the identity: %w", err)
	}
	d := json.NewDecoder(bytes.NewReader(content))
	d.DisallowUnknownFields()
	if err := d.Decode(&id); err != nil || id.Secret == "" {
		return id, 0, errors.New("reading the identity: it is not in the form of a backup")
	}
	return id, int64(len(head)) + int64(size), nil
}

// encrypt returns a writer that encrypts to dst; Close completes it.
func encrypt(dst io.Writer, passphrase string) (io.WriteCloser, error) {
	r, err := age.NewScryptRecipient(passphrase)
	if err != nil {
		return nil, err
	}
	r.SetWorkFactor(workFactor)
	return age.Encrypt(dst, r)
}

// decrypt returns what is in an age file, and its size.
func decrypt(src io.ReaderAt, size int64, passphrase string) (io.ReaderAt, int64, error) {
	key, err := age.NewScryptIdentity(passphrase)
	if err != nil {
		return nil, 0, err
	}
	key.SetMaxWorkFactor(workFactor)
	plain, n, err := age.DecryptReaderAt(src, size, key)
	var wrong *age.NoIdentityMatchError
	if errors.As(err, &wrong) {
		return nil, 0, errors.New("wrong passphrase (or the first bytes of the file are damaged)")
	}
	if err != nil {
		return nil, 0, fmt.Errorf("decrypting: %v", err)
	}
	return plain, n, nil
}
