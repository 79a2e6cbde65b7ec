package bundle

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Open reads the manifest and the range table of the bundle in the first size
// bytes of r. Errors wrap ErrInvalid when the bytes are to blame, else the
// error of r. Damage that leaves frames readable is no error: see Damage.
func Open(r io.ReaderAt, size int64, l Limits) (*Reader, error) {
	l = l.withDefaults()
	if size > l.File {
		return nil, invalidf("%d bytes, more than %d", size, l.File)
	}
	b := &Reader{src: r, size: size, limits: l}
	if err := b.openManifest(); err != nil {
		return nil, err
	}
	b.name = b.manifest.Name()
	b.layOut()
	if err := b.openRanges(); err != nil {
		return nil, err
	}
	return b, nil
}

// openManifest finds a manifest that verifies: the one in front, else the
// copy at the end.
func (r *Reader) openManifest() error {
	head, m, err := r.leadingManifest()
	if err == nil {
		if total := m.FileSize(); total < r.size {
			return invalidf("%d bytes after the end of the bundle", r.size-total)
		}
		r.manifest = m
		r.checkTail(head)
		return nil
	}
	_, m, copyErr := r.trailingManifest()
	if copyErr != nil {
		return fmt.Errorf("reading manifest: %w (reading its copy: %v)", err, copyErr)
	}
	if m.FileSize() != r.size {
		return fmt.Errorf("reading manifest: %w (its copy is of a file of %d bytes)", err, m.FileSize())
	}
	r.manifest = m
	e := r.partError(PartManifest, 0, 0, m.manifestSize(), Damaged)
	if !errors.Is(err, ErrInvalid) {
		e.Cause, e.Err = Unreadable, err
	}
	e.Detail = err.Error()
	r.damage = append(r.damage, e)
	r.checkSeekTable()
	return nil
}

// leadingManifest returns the frame with the manifest in front and what it
// says.
func (r *Reader) leadingManifest() ([]byte, *Manifest, error) {
	head, err := r.read(0, skipHeader)
	if err != nil {
		return nil, nil, err
	}
	if binary.LittleEndian.Uint32(head) != skipManifest {
		return nil, nil, invalidf("not a bundle")
	}
	return r.manifestAt(0, skipHeader+int64(binary.LittleEndian.Uint32(head[4:])))
}

// trailingManifest finds the copy of the manifest by the number of frames at
// the end of the seek table.
func (r *Reader) trailingManifest() ([]byte, *Manifest, error) {
	if r.size < seekFooter {
		return nil, nil, invalidf("not a bundle")
	}
	foot, err := r.read(r.size-seekFooter, seekFooter)
	if err != nil {
		return nil, nil, err
	}
	n := binary.LittleEndian.Uint32(foot)
	if n < 4 || n-2 > maxFrames {
		return nil, nil, invalidf("seek table of %d frames", n)
	}
	size := manifestFrameSize(int(n - 2))
	return r.manifestAt(r.size-seekTableSize(int(n-2))-size, size)
}

// manifestAt reads and verifies the manifest frame of size bytes at offset.
func (r *Reader) manifestAt(offset, size int64) ([]byte, *Manifest, error) {
	if size > skipHeader+MaxManifest+signatureLen || offset < 0 || size > r.size-offset {
		return nil, nil, invalidf("manifest of %d bytes in a file of %d", size, r.size)
	}
	b, err := r.read(offset, size)
	if err != nil {
		return nil, nil, err
	}
	contents, err := skippable(b, skipManifest)
	if err != nil {
		return nil, nil, invalidf("%v", err)
	}
	m, err := verifyManifest(contents)
	return b, m, err
}

// read returns size bytes at offset. Bytes past the end of the file are
// invalid, not an I/O error.
func (r *Reader) read(offset, size int64) ([]byte, error) {
	if size > r.size-offset {
		return nil, invalidf("file of %d bytes ends early", r.size)
	}
	b := make([]byte, size)
	if n, err := r.src.ReadAt(b, offset); int64(n) < size {
		if err == io.EOF {
			return nil, invalidf("file ends early, at byte %d", offset+int64(n))
		}
		return nil, fmt.Errorf("at byte %d: %w", offset+int64(n), err)
	}
	return b, nil
}

// checkTail notes damage to the copy of the manifest, which must equal head,
// and to the seek table.
func (r *Reader) checkTail(head []byte) {
	m := r.manifest
	r.checkPart(PartCopy, m.offset(len(m.Frames)), head)
	r.checkSeekTable()
}

func (r *Reader) checkSeekTable() {
	table := r.manifest.seekTable()
	r.checkPart(PartSeekTable, r.manifest.FileSize()-int64(len(table)), table)
}

// checkPart notes damage to a part whose bytes are known.
func (r *Reader) checkPart(p Part, offset int64, want []byte) {
	got, e := r.readPart(p, 0, offset, int64(len(want)))
	if e == nil && !bytes.Equal(got, want) {
		e = r.partError(p, 0, offset, int64(len(want)), Damaged)
	}
	if e != nil {
		r.damage = append(r.damage, e)
	}
}

// openRanges reads the range table. One that is damaged is noted; one that
// the exporter signed although it breaks the format is an error.
func (r *Reader) openRanges() error {
	stored, e := r.readFrame(PartRanges, 0, 0)
	if e != nil {
		r.damage = append(r.damage, e)
		return nil
	}
	contents, err := skippable(stored, skipRanges)
	if err != nil {
		return invalidf("range table: %v", err)
	}
	raw, err := r.expander.expand(contents, r.manifest.Frames[0].Raw)
	if err != nil {
		return invalidf("range table: %v", err)
	}
	r.ranges, err = parseRangeTable(raw, r.manifest)
	return err
}
