package stick

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/ssbsync/ssbsync/spec/refs"
)

// ErrNoRoom is wrapped by what Blobs.Put returns when the disk, or what blobs
// may take of it, is full.
var ErrNoRoom = errors.New("no room for blobs")

// blobs takes the blobs that are wanted from the sources; too says of whose
// messages those are wanted besides.
func (im *importer) blobs(ctx context.Context, sources []*source, too func(refs.Feed) bool) error {
	if im.Blobs == nil || !slices.ContainsFunc(sources, func(s *source) bool { return len(s.facts.blobs) > 0 }) {
		return nil // what is wanted need not be known, which may be work
	}
	list, err := im.Blobs.Wanted(too)
	if err != nil {
		return fmt.Errorf("listing wanted blobs: %v", err)
	}
	wanted := make(map[refs.Blob]bool, len(list))
	for _, id := range list {
		wanted[id] = true
	}
	for _, s := range sources {
		for i, id := range s.facts.blobs {
			if !wanted[id] {
				continue
			}
			if err := context.Cause(ctx); err != nil {
				return err
			}
			ok, err := im.blob(s, i)
			if errors.Is(err, ErrNoRoom) {
				im.rep.warn("no more blobs are taken: %v", err)
				return nil
			}
			if err != nil {
				return err
			}
			wanted[id] = !ok
		}
	}
	return nil
}

// blob takes one blob in. Damage is noted; the error is of our own disk.
func (im *importer) blob(s *source, i int) (bool, error) {
	number := s.blobFrame(i)
	r, err := im.readers.get(s)
	if err != nil {
		im.rep.lose(Loss{Bundle: s.label, Frame: number, Reason: err.Error()})
		return false, nil
	}
	id, data, err := r.ReadBlob(i)
	s.noteFrame(number, err)
	if err != nil {
		im.rep.lose(Loss{Bundle: s.label, Frame: number, Reason: err.Error()})
		return false, nil
	}
	if err := im.Blobs.Put(id, data); err != nil {
		return false, fmt.Errorf("storing blob %s: %w", id, err)
	}
	im.touched[s] = true
	im.rep.Blobs++
	im.rep.Bytes += int64(len(data))
	im.done.Phase = Reading
	im.done.Bytes += int64(len(data))
	im.done.TotalBytes += int64(len(data)) // known only now
	im.report(im.done)
	return true, nil
}
