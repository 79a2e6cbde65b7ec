package stick

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/ssbsync/ssbsync/store/durable"
)

const (
	formatFamily  = "ssbsync stick "
	markerFormat  = formatFamily + "v1"
	modeOpen      = "open" // every node may read and write
	maxMarkerSize = 4096
	maxLabelLen   = 64 // bytes
)

// marker is the content of stick.json, written once:
//
//	{"format":"ssbsync stick v1","stick":"<32 hex digits>","mode":"open"}\n
//
// with an optional "label" at the end.
type marker struct {
	Format string `json:"format"`
	Stick  ID     `json:"stick"`
	Mode   string `json:"mode"`
	Label  string `json:"label,omitempty"`
}

// format returns the one spelling of m.
func (m marker) format() []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.Encode(m) // strings into a buffer: cannot fail
	return b.Bytes()
}

// otherFormatError says that a marker has a format, or an id, and is not for this
// program: it is not to be removed.
type otherFormatError struct{ text string }

func (e *otherFormatError) Error() string { return e.text }

// parseMarker reads what format writes, and nothing else.
func parseMarker(b []byte) (marker, error) {
	if len(b) > maxMarkerSize {
		return marker{}, fmt.Errorf("longer than %d bytes", maxMarkerSize)
	}
	if err := checkFormat(b); err != nil {
		return marker{}, err
	}
	var m marker
	err := json.Unmarshal(b, &m)
	if err != nil {
		err = fmt.Errorf("not the JSON of a marker: %v", err)
	} else {
		err = m.check(b)
	}
	var other *otherFormatError
	switch {
	case err == nil:
		return m, nil
	case m.Stick != ID{} && !errors.As(err, &other):
		// With another id everybody would have to get to know it again.
		err = &otherFormatError{fmt.Sprintf("%v; its id is %s", err, m.Stick)}
	}
	return marker{}, err
}

// checkFormat looks at the format alone: of a newer one the rest may be anything.
func checkFormat(b []byte) error {
	var m struct {
		Format string `json:"format"`
	}
	err := json.Unmarshal(b, &m)
	switch {
	case m.Format == markerFormat:
		return nil
	case strings.HasPrefix(m.Format, formatFamily):
		return &otherFormatError{fmt.Sprintf("format %.40q, of a newer program: this one knows %q", m.Format, markerFormat)}
	case err != nil:
		return fmt.Errorf("not the JSON of a marker: %v", err)
	}
	return fmt.Errorf("format %.40q is not %q", m.Format, markerFormat)
}

// check returns what is wrong with a marker that was read from b.
func (m marker) check(b []byte) error {
	switch {
	case m.Mode != modeOpen:
		return &otherFormatError{fmt.Sprintf("unknown mode %.40q", m.Mode)}
	case m.Stick == ID{}:
		return errors.New("stick id is zero")
	case !validLabel(m.Label):
		return errors.New("label too long or not printable")
	case !bytes.Equal(m.format(), b):
		return fmt.Errorf("not in the exact form, which is %s", bytes.TrimSpace(m.format()))
	}
	return nil
}

// validLabel reports whether a label can be shown as it is.
func validLabel(label string) bool {
	if len(label) > maxLabelLen || !utf8.ValidString(label) {
		return false
	}
	for _, r := range label {
		if !unicode.IsPrint(r) {
			return false
		}
	}
	return true
}

// readMarker reads stick.json; ErrNoMarker when there is none.
func readMarker(root *os.Root) (marker, error) {
	b, err := durable.ReadFile(root, markerName, maxMarkerSize)
	if errors.Is(err, fs.ErrNotExist) {
		return marker{}, ErrNoMarker
	}
	if err != nil {
		return marker{}, fmt.Errorf("reading %s: %v", markerName, err)
	}
	m, err := parseMarker(b)
	var format *otherFormatError
	switch {
	case errors.As(err, &format):
		return marker{}, fmt.Errorf("reading %s: %w", markerName, err)
	case err != nil:
		return marker{}, fmt.Errorf("reading %s: %w: to heal the stick remove that file and enroll it again, its bundles stay", markerName, err)
	}
	return m, nil
}

// writeMarker writes stick.json, once. The medium is not anybody's yet: what an
// interruption leaves in tmp/ bears the id of the stick that was to be.
func writeMarker(root *os.Root, m marker) error {
	_, err := durable.WriteBytes(root, markerName, m.format(), durable.Options{Temp: partName(m.Stick)})
	if err != nil {
		return fmt.Errorf("writing the marker of the stick: %w", err)
	}
	return nil
}

// writeReadme writes readme.txt unless there is one.
func writeReadme(root *os.Root, stick ID) error {
	_, err := durable.WriteBytes(root, readmeName, []byte(readme), durable.Options{Temp: partName(stick)})
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("writing the readme of the stick: %w", err)
	}
	return nil
}

const readme = `This medium carries messages of Secure Scuttlebutt between computers.

Everything of it lies in the folder "ssbsync". Each bundle (.ssb.zst) is an
ordinary Zstandard file. With the codec "jsonl" it holds JSON lines, each line
one signed message, and this prints them:

    zstd -dc ssbsync/bundles/XX/NAME.ssb.zst

Where that prints no text, the bundle has the codec "compact", which takes less
room: "ssbsync cat NAME.ssb.zst" prints its messages, and spec/bundle.md in the
source of ssbsync says how to read it without that program.

To carry messages on, plug it into a computer with ssbsync and type

    ssbsync sync THIS-FOLDER

Eject the medium before you pull it out. Other files here are left alone.
`
