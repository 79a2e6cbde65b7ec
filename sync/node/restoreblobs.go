package node

import (
	"context"
	"errors"
	"io"
	"math"
	"path/filepath"

	"github.com/ssbsync/ssbsync/spec/refs"
	blobfiles "github.com/ssbsync/ssbsync/store/blobs"
	"github.com/ssbsync/ssbsync/sync/stick"
)

// blobBytes is what the blobs that are restored take.
func (o *RestoreOptions) blobBytes() int64 {
	if o.NoBlobs {
		return 0
	}
	_, bytes := o.Backup.Blobs()
	return bytes
}

// unpackBlobs writes the blobs below the folder of the home. Those that are not
// what their ids say are named and left out.
func (o *RestoreOptions) unpackBlobs(ctx context.Context, home string, r *RestoreReport) (err error) {
	if count, _ := o.Backup.Blobs(); count == 0 || o.NoBlobs {
		return nil
	}
	files, err := blobfiles.Open(filepath.Join(home, blobsDir), blobfiles.Config{Max: math.MaxInt64})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, files.Close()) }()
	done := o.Backup.Header().Size
	return o.Backup.EachBlob(func(id refs.Blob, blob *io.SectionReader) error {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		_, err := files.Put(&contextReader{ctx, blob}, id)
		var mismatch *blobfiles.MismatchError
		switch {
		case errors.As(err, &mismatch):
			if r.Damaged++; len(r.BadBlobs) < maxBadBlobs {
				r.BadBlobs = append(r.BadBlobs, id)
			}
		case err != nil:
			return err
		default:
			r.Blobs++
			r.BlobBytes += blob.Size()
		}
		done += blob.Size()
		o.tell(stick.Writing, done)
		return nil
	})
}

// contextReader reads until the context ends.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (r *contextReader) Read(b []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(b)
}
