// Package stick makes a medium (a USB stick, a card, any folder) a peer: it
// has a coverage of its own, which ranges of which feeds lie on it, and a
// visit to it is a two-way diff like a session with a peer on the network.
//
// A [Stick] is the medium: its layout, read and written through an os.Root
// and trusted in nothing. A [Peer] is this node at the medium: it imports
// what the store lacks and exports what the stores of others lack, and leaves
// a have file that acknowledges the one and asks for the other.
//
// The layout, the have file and the rules are spec/stick.md. No decision uses
// a clock, a file time or the order of a directory.
package stick

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// The layout below the root of the medium (spec/stick.md, "Layout").
const (
	baseDir    = "ssbsync"
	bundlesDir = baseDir + "/bundles"
	haveDir    = baseDir + "/have"
	tmpDir     = baseDir + "/tmp"
	markerName = baseDir + "/stick.json"
	readmeName = baseDir + "/readme.txt"
)

// Limits on what a medium may make us do.
const (
	MaxFiles      = 100_000   // directory entries looked at, in all directories together
	MaxBundleSize = 256 << 20 // bytes; FAT32 ends at 4 GiB
	MaxHaveSize   = 32 << 20  // bytes
)

var (
	// ErrNoMarker says that a folder carries no marker of a stick: it is not
	// mounted, or not ours. It never means "empty".
	ErrNoMarker = errors.New("no ssbsync/stick.json here: not mounted, or not a stick of ssbsync")

	// ErrTooManyFiles says that a medium holds more than MaxFiles files.
	ErrTooManyFiles = fmt.Errorf("more than %d files under %s/: not read", MaxFiles, baseDir)

	// ErrLoose says that a folder of loose bundles was asked to do what only
	// a stick with a marker can.
	ErrLoose = errors.New("a folder of loose bundles is only read: make it a stick first")
)

// ID is the name of a medium or of a store: 16 random bytes.
type ID [16]byte

// String returns the id in lower-case hexadecimal.
func (id ID) String() string { return hex.EncodeToString(id[:]) }

// MarshalText returns the id in lower-case hexadecimal.
func (id ID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText reads 32 lower-case hexadecimal digits.
func (id *ID) UnmarshalText(text []byte) (err error) { *id, err = ParseID(string(text)); return err }

// ParseID reads 32 lower-case hexadecimal digits.
func ParseID(s string) (ID, error) {
	var id ID
	if len(s) != 2*len(id) {
		return ID{}, fmt.Errorf("not an id of 32 hexadecimal digits: %.40q", s)
	}
	if _, err := hex.Decode(id[:], []byte(s)); err != nil || id.String() != s {
		return ID{}, fmt.Errorf("not an id of 32 hexadecimal digits: %.40q", s)
	}
	return id, nil
}

// Stick is an opened medium. It holds no file open between calls.
type Stick struct {
	root  *os.Root // belongs to the caller
	id    ID
	label string
	loose bool

	maxFiles int // 0: MaxFiles; tests set less
}

// Open opens a medium that carries a marker. It writes nothing. A folder
// without marker is ErrNoMarker.
func Open(root *os.Root) (*Stick, error) {
	if err := wantDir(root, baseDir); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, ErrNoMarker
		}
		return nil, err
	}
	m, err := readMarker(root)
	if err != nil {
		return nil, err
	}
	return &Stick{root: root, id: m.Stick, label: m.Label}, nil
}

// OpenSource opens a medium to import from: one with a marker or, where there
// is none, a folder that holds loose *.ssb.zst files. ErrNoMarker when it is
// neither. It writes nothing.
func OpenSource(root *os.Root) (*Stick, error) {
	s, err := Open(root)
	if !errors.Is(err, ErrNoMarker) {
		return s, err
	}
	s = &Stick{root: root, loose: true}
	found, err := s.list()
	if err != nil {
		return nil, err
	}
	if len(found.bundles) == 0 {
		return nil, ErrNoMarker
	}
	return s, nil
}

// Create opens a medium, and makes the layout and the marker where there are
// none.
func Create(root *os.Root) (*Stick, error) { return CreateLabelled(root, "") }

// CreateLabelled is Create with a label for the marker, at most 64 bytes of
// printable UTF-8. A medium that has a marker keeps the label it has.
func CreateLabelled(root *os.Root, label string) (*Stick, error) {
	if !validLabel(label) {
		return nil, fmt.Errorf("the label is longer than %d bytes, or not printable: %.100q", maxLabelLen, label)
	}
	s, err := Open(root)
	if !errors.Is(err, ErrNoMarker) {
		return s, err
	}
	for _, dir := range []string{baseDir, bundlesDir, haveDir, tmpDir} {
		if err := makeDir(root, dir); err != nil {
			return nil, fmt.Errorf("making the layout of the stick: %w", err)
		}
	}
	m := marker{Format: markerFormat, Mode: modeOpen, Label: label}
	rand.Read(m.Stick[:]) // never fails
	if err := writeReadme(root, m.Stick); err != nil {
		return nil, err
	}
	// The marker comes last: a folder with half a layout is no stick yet.
	if err := writeMarker(root, m); err != nil {
		return nil, err
	}
	return &Stick{root: root, id: m.Stick, label: label}, nil
}

// ID returns the id the marker gives the medium; zero for a folder of loose
// bundles.
func (s *Stick) ID() ID { return s.id }

// Label returns what the marker calls the medium: printable, often empty.
func (s *Stick) Label() string { return s.label }

// Loose reports whether the medium is a folder of loose bundles, which can
// only be imported from.
func (s *Stick) Loose() bool { return s.loose }
