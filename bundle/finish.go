package bundle

import (
	"cmp"
	"fmt"
	"io"
	"slices"

	"github.com/ssbsync/ssbsync/spec/refs"
)

// Finish is Seal and WriteTo.
func (w *Writer) Finish(dst io.Writer) (*Manifest, error) {
	m, err := w.Seal()
	if err != nil {
		return nil, err
	}
	_, err = w.WriteTo(dst)
	return m, err
}

// Seal ends the bundle, signs it and returns its manifest, whose FileName is
// the name it must get; nothing can be added any more. WriteTo then writes it.
// A Writer is sealed once, whether that succeeds or not.
func (w *Writer) Seal() (*Manifest, error) {
	if w.err != nil {
		return nil, w.err
	}
	w.err = errFinished
	w.cut()
	if len(w.frames)+len(w.blobs) == 0 {
		return nil, errEmpty
	}
	parts := w.collect()
	m := w.manifest(parts)
	if err := m.check(); err != nil {
		return nil, fmt.Errorf("finishing a bundle: %v", err)
	}
	if err := w.checkSizes(m); err != nil {
		return nil, fmt.Errorf("finishing a bundle: %v", err)
	}
	w.sealed = w.layOut(m, parts)
	return m, nil
}

// checkSizes holds the bounds that are not those of the manifest alone.
func (w *Writer) checkSizes(m *Manifest) error {
	for i, f := range w.frames {
		if f.lines > maxRaw(f.frame.Stored) {
			return fmt.Errorf("%d bytes of lines in message frame %d of %d bytes", f.lines, i, f.frame.Stored)
		}
	}
	if m.FileSize() > w.limits.File {
		return fmt.Errorf("%d bytes, more than %d", m.FileSize(), w.limits.File)
	}
	return nil
}

// layOut returns the pieces of the file, in order.
func (w *Writer) layOut(m *Manifest, parts []*packed) [][]byte {
	body := m.Marshal()
	sig := w.signer.Sign(signed(body))
	head := appendSkippable(nil, skipManifest, body, sig[:])
	pieces := append(make([][]byte, 0, len(parts)+3), head)
	for _, p := range parts {
		pieces = append(pieces, p.stored)
	}
	return append(pieces, head, m.seekTable())
}

// WriteTo writes the sealed bundle to dst, from memory that it keeps: it can
// be written again.
func (w *Writer) WriteTo(dst io.Writer) (int64, error) {
	if w.sealed == nil {
		return 0, errOpen
	}
	var total int64
	for _, piece := range w.sealed {
		n, err := dst.Write(piece)
		total += int64(n)
		if err != nil {
			return total, fmt.Errorf("writing a bundle: %w", err)
		}
	}
	return total, nil
}

// collect waits for all frames and returns them in the order of the file.
func (w *Writer) collect() []*packed {
	for _, f := range w.packer.frames {
		<-f.done
	}
	slices.SortFunc(w.blobs, func(a, b blobFrame) int {
		return cmp.Or(cmp.Compare(a.frame.Raw, b.frame.Raw), a.id.Compare(b.id))
	})
	ranges := w.packer.pack(KindRanges, w.table().marshal(), nil)
	<-ranges.done
	parts := []*packed{ranges}
	for _, f := range w.frames {
		parts = append(parts, f.packed)
	}
	for _, f := range w.blobs {
		parts = append(parts, f.packed)
	}
	return parts
}

// table returns the range table, in which feeds are numbered by their order,
// not by their first appearance.
func (w *Writer) table() *rangeTable {
	t := &rangeTable{feeds: slices.Clone(w.feeds)}
	slices.SortFunc(t.feeds, refs.Feed.Compare)
	number := make([]uint32, len(w.feeds))
	for i, f := range w.feeds {
		n, _ := slices.BinarySearchFunc(t.feeds, f, refs.Feed.Compare)
		number[i] = uint32(n)
	}
	for _, f := range w.frames {
		for i := range f.runs {
			f.runs[i].feed = number[f.runs[i].feed]
		}
		t.frames = append(t.frames, f.runs)
	}
	for _, b := range w.blobs {
		t.blobs = append(t.blobs, b.id)
	}
	return t
}

func (w *Writer) manifest(parts []*packed) *Manifest {
	m := &Manifest{
		Exporter: w.signer.Feed(),
		Network:  w.header.Network,
		Codec:    w.header.Codec,
		Messages: w.messages,
		Feeds:    uint32(len(w.feeds)),
		Blobs:    uint32(len(w.blobs)),
	}
	for _, p := range parts {
		m.Frames = append(m.Frames, p.frame)
	}
	return m
}
