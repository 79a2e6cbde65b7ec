package bundle

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"slices"

	"github.com/ssbsync/ssbsync/spec/refs"
)

// Finish writes the bundle to dst and returns its manifest, whose FileName is
// the name it must get. A Writer is finished once, whether that succeeds or
// not.
func (w *Writer) Finish(dst io.Writer) (*Manifest, error) {
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
	if m.FileSize() > w.limits.File {
		return nil, fmt.Errorf("finishing a bundle: %d bytes, more than %d", m.FileSize(), w.limits.File)
	}
	if err := w.write(dst, m, parts); err != nil {
		return nil, fmt.Errorf("writing bundle %s: %w", m.Name(), err)
	}
	return m, nil
}

// collect waits for all frames and returns them in the order of the file.
func (w *Writer) collect() []*packed {
	for _, f := range w.packer.frames {
		<-f.done
	}
	slices.SortFunc(w.blobs, func(a, b blobFrame) int {
		return cmp.Or(cmp.Compare(a.frame.Raw, b.frame.Raw), a.id.Compare(b.id))
	})
	ranges := w.packer.pack(KindRanges, w.table().marshal())
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

func (w *Writer) write(dst io.Writer, m *Manifest, parts []*packed) error {
	body := m.Marshal()
	sig := w.signer.Sign(signed(body))
	head := appendSkippable(nil, skipManifest, body, sig[:])
	out := bufio.NewWriterSize(dst, MaxFrame)
	out.Write(head) // bufio keeps the first error for Flush
	for _, p := range parts {
		out.Write(p.stored)
	}
	out.Write(head)
	out.Write(m.seekTable())
	return out.Flush()
}
