package bundle

import (
	"context"
	"encoding/base64"
	"errors"

	"github.com/ssbsync/ssbsync/spec/refs"
)

// Info describes a bundle without opening its frames.
type Info struct {
	Name     string        `json:"name"`
	Exporter refs.Feed     `json:"exporter"`
	Network  string        `json:"network"` // base64
	Codec    string        `json:"codec"`
	Messages int           `json:"messages"`
	Feeds    int           `json:"feeds"`
	Blobs    int           `json:"blobs"`
	Frames   int           `json:"frames"` // message frames
	Bytes    int64         `json:"bytes"`  // of the file
	Raw      int64         `json:"raw"`    // of the message frames before compression
	Ranges   []Run         `json:"ranges"` // of whole feeds, frame borders removed
	BlobIDs  []refs.Blob   `json:"blob_ids"`
	Damage   []*FrameError `json:"damage"`
}

// Inspect describes the bundle.
func (r *Reader) Inspect() Info {
	m := r.manifest
	info := Info{
		Name:     r.name,
		Exporter: m.Exporter,
		Network:  base64.StdEncoding.EncodeToString(m.Network[:]),
		Codec:    m.Codec,
		Messages: int(m.Messages),
		Feeds:    int(m.Feeds),
		Blobs:    int(m.Blobs),
		Frames:   r.MessageFrames(),
		Bytes:    r.size,
		Ranges:   r.Ranges(),
		BlobIDs:  append([]refs.Blob{}, r.Blobs()...),
		Damage:   append([]*FrameError{}, r.damage...),
	}
	for _, f := range m.Frames {
		if f.Kind == KindMessages {
			info.Raw += int64(f.Raw)
		}
	}
	return info
}

// Ranges returns the runs of all message frames; those that touch across a
// frame border are one.
func (r *Reader) Ranges() []Run {
	all := []Run{}
	for i := range r.MessageFrames() {
		for _, run := range r.Runs(i) {
			n := len(all)
			if n > 0 && all[n-1].Feed == run.Feed && all[n-1].Last+1 == run.First {
				all[n-1].Last, all[n-1].LastID = run.Last, run.LastID
				continue
			}
			all = append(all, run)
		}
	}
	return all
}

// Report is the result of Verify.
type Report struct {
	Name     string        `json:"name"`
	Exporter refs.Feed     `json:"exporter"`
	Messages int           `json:"messages"` // read
	Blobs    int           `json:"blobs"`    // read
	Bytes    int64         `json:"bytes"`    // of the file
	Damage   []*FrameError `json:"damage"`   // of the whole file, those of Open among them
}

// Verify reads every frame and reports what is damaged. When visit is not
// nil it is given the lines of each message frame; its error ends Verify. In a
// bundle that is not Readable it counts and visits no messages.
func (r *Reader) Verify(ctx context.Context, visit func(frame int, lines []byte) error) (Report, error) {
	rep := Report{
		Name:     r.name,
		Exporter: r.manifest.Exporter,
		Bytes:    r.size,
		Damage:   append([]*FrameError{}, r.damage...),
	}
	for i := range r.MessageFrames() {
		if err := ctx.Err(); err != nil {
			return rep, err
		}
		lines, err := r.ReadFrame(i)
		if rep.note(err) {
			continue
		}
		if !r.Readable() {
			continue
		}
		for range Lines(lines) {
			rep.Messages++
		}
		if visit == nil {
			continue
		}
		if err := visit(i, lines); err != nil {
			return rep, err
		}
	}
	return rep, r.verifyBlobs(ctx, &rep)
}

func (r *Reader) verifyBlobs(ctx context.Context, rep *Report) error {
	for i := range r.BlobFrames() {
		if err := ctx.Err(); err != nil {
			return err
		}
		if _, _, err := r.ReadBlob(i); !rep.note(err) {
			rep.Blobs++
		}
	}
	return nil
}

// note keeps err, if any, and reports whether there was one.
func (rep *Report) note(err error) bool {
	var e *FrameError
	if errors.As(err, &e) {
		rep.Damage = append(rep.Damage, e)
	}
	return err != nil
}
