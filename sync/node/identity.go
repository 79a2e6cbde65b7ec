package node

import (
	"crypto/rand"
	"fmt"
	"io"
	"os"

	"github.com/ssbsync/ssbsync/spec/keys"
	"github.com/ssbsync/ssbsync/store/durable"
)

// secretFile holds the identity, in the form of npm ssb-keys.
const secretFile = "secret"

// maxSecret bounds the size of the secret file, in bytes.
const maxSecret = 64 << 10

// readSecret reads the identity of a home folder; fs.ErrNotExist when there
// is none.
func readSecret(home *os.Root) (*keys.Pair, error) {
	raw, err := readLimited(home, secretFile, maxSecret)
	if err != nil {
		return nil, fmt.Errorf("reading secret: %w", err)
	}
	pair, err := keys.ParseSecret(raw)
	if err != nil {
		return nil, fmt.Errorf("reading secret: %v", err)
	}
	return pair, nil
}

// makeSecret makes a new identity and writes it where readSecret finds it.
func makeSecret(home *os.Root) (*keys.Pair, error) {
	pair, err := keys.Generate(rand.Reader)
	if err != nil {
		return nil, err
	}
	if err := durable.WriteSecret(home, secretFile, pair.FormatSecret()); err != nil {
		return nil, fmt.Errorf("writing secret: %w", err)
	}
	return pair, nil
}

// readLimited reads a small regular file of the home folder, whatever links
// lead to it: the home is the user's own.
func readLimited(home *os.Root, name string, limit int64) ([]byte, error) {
	file, err := home.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	raw, err := io.ReadAll(io.LimitReader(file, limit+1))
	if err == nil && int64(len(raw)) > limit {
		err = fmt.Errorf("%s is larger than %d bytes", name, limit)
	}
	return raw, err
}
