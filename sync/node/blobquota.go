package node

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/ssbsync/ssbsync/spec/refs"
	"github.com/ssbsync/ssbsync/store"
	blobfiles "github.com/ssbsync/ssbsync/store/blobs"
	"github.com/ssbsync/ssbsync/sync/blobs"
)

// fetchedTable says which blobs were fetched, by id: why (1 byte), the size and
// when (8 bytes each). All other blobs are the user's own, or were here before
// us, and are never removed by themselves. The row is written before the blob
// is.
const fetchedTable = "node.blobfetched"

// fetchedBlob is a blob that was fetched.
type fetchedBlob struct {
	origin blobs.Origin
	size   int64
	time   int64 // when, in milliseconds since 1970
}

// sympathyShare is which part of the quota blobs may take that nobody here asked
// for.
const sympathyShare = 4

func (f fetchedBlob) encode() []byte {
	row := binary.BigEndian.AppendUint64([]byte{byte(f.origin)}, uint64(f.size))
	return binary.BigEndian.AppendUint64(row, uint64(f.time))
}

func readFetched(row []byte) (f fetchedBlob, ok bool) {
	if len(row) != 17 {
		return f, false
	}
	return fetchedBlob{blobs.Origin(row[0]), int64(binary.BigEndian.Uint64(row[1:])), int64(binary.BigEndian.Uint64(row[9:]))}, true
}

// load reads the table once. The caller holds b.mu.
func (b *blobKeeper) load() error {
	if b.loaded {
		return nil
	}
	b.fetched, b.bytes = make(map[refs.Blob]fetchedBlob), 0
	for from := []byte(nil); ; {
		rows, err := b.node.store.Table(fetchedTable).Scan(nil, from, 0)
		if err != nil {
			return err
		}
		if len(rows) == 0 {
			b.loaded = true
			return nil
		}
		for _, row := range rows {
			f, ok := readFetched(row.Value)
			if ok && len(row.Key) == blobLen && b.files.Has(refs.Blob(row.Key)) { // a kill leaves rows of what never came
				b.fetched[refs.Blob(row.Key)] = f
				b.bytes += f.size
			}
		}
		from = append(rows[len(rows)-1].Key, 0)
	}
}

// fetching notes a blob that is about to be stored and was not added here.
func (b *blobKeeper) fetching(id refs.Blob, size int64, origin blobs.Origin) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.load(); err != nil {
		return err
	}
	old, known := b.fetched[id]
	if !known && b.files.Has(id) {
		return nil // our own
	}
	if _, err := b.node.store.Table(blobOwnTable).Get(id[:]); err == nil {
		return nil // our own, that was lost
	}
	f := fetchedBlob{origin, size, b.node.options.Now().UnixMilli()}
	if err := b.node.store.Table(fetchedTable).Put(id[:], f.encode()); err != nil {
		return err
	}
	b.fetched[id] = f
	b.bytes += size - old.size
	return nil
}

// own notes that a blob is the user's own from now on.
func (b *blobKeeper) own(id refs.Blob) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.load(); err != nil {
		return err
	}
	b.bytes -= b.fetched[id].size
	delete(b.fetched, id)
	return b.node.store.Table(fetchedTable).Update(func(tx *store.TableTx) error {
		return errors.Join(tx.Delete(id[:]), tx.Table(blobOwnTable).Delete(id[:]), tx.Table(blobRefusedTable).Delete(id[:]))
	})
}

// room makes room for a blob that is to be fetched, or says why there is none. It
// is kept until done is called.
func (b *blobKeeper) room(origin blobs.Origin, size int64) (done func(), err error) {
	if err := b.node.room(); err != nil {
		return nil, err
	}
	// What was published a moment ago must not be removed.
	if err := b.catchUp(context.Background()); err != nil {
		return nil, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.load(); err != nil {
		return nil, err
	}
	if err := b.makeRoom(origin, size); err != nil {
		return nil, err
	}
	b.kept[origin] += size
	return func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.kept[origin] -= size
	}, nil
}

// makeRoom removes what a blob that is to be fetched is to replace, those counted
// that are being fetched. The caller holds b.mu.
func (b *blobKeeper) makeRoom(origin blobs.Origin, size int64) error {
	quota := b.settings.Quota
	if origin == blobs.Sympathy {
		share := quota / sympathyShare
		if over := b.taken(blobs.Sympathy) + b.kept[blobs.Sympathy] + size - share; over > 0 {
			if err := b.collect(over, blobs.Sympathy); err != nil {
				return err
			}
		}
	}
	fetching := int64(0)
	for _, n := range b.kept {
		fetching += n
	}
	if over := b.bytes + fetching + size - quota; over > 0 {
		return b.collect(over, blobs.Asked)
	}
	return nil
}

// taken is how many bytes the blobs of an origin take. The caller holds b.mu.
func (b *blobKeeper) taken(origin blobs.Origin) (n int64) {
	for _, f := range b.fetched {
		if f.origin == origin {
			n += f.size
		}
	}
	return n
}

// collect removes fetched blobs of at least some bytes that nothing refers to,
// those of the origin least and more dispensable ones, the oldest first. When
// they are not enough the error says so. The caller holds b.mu.
func (b *blobKeeper) collect(over int64, least blobs.Origin) error {
	type candidate struct {
		id refs.Blob
		fetchedBlob
	}
	list := make([]candidate, 0, len(b.fetched))
	for id, f := range b.fetched {
		if f.origin >= least {
			list = append(list, candidate{id, f})
		}
	}
	slices.SortFunc(list, func(x, y candidate) int {
		return cmp.Or(cmp.Compare(y.origin, x.origin), cmp.Compare(x.time, y.time), x.id.Compare(y.id))
	})
	pushed := b.exchange.Pushing()
	for _, c := range list {
		if over <= 0 {
			return nil
		}
		if slices.Contains(pushed, c.id) {
			continue
		}
		used, err := b.isReferenced(c.id)
		if err != nil {
			return err
		}
		if used {
			continue
		}
		if err := b.discard(c.id); err != nil {
			return err
		}
		over -= c.size
	}
	if over > 0 {
		return fmt.Errorf("the quota of %.4g MiB for fetched blobs is used up (blobs.quota of the config)", float64(b.settings.Quota)/(1<<20))
	}
	return nil
}

// discard removes a fetched blob. The caller holds b.mu.
func (b *blobKeeper) discard(id refs.Blob) error {
	if err := b.files.Remove(id); err != nil && !errors.Is(err, blobfiles.ErrNotFound) {
		return err
	}
	if err := b.node.store.Table(fetchedTable).Delete(id[:]); err != nil {
		return err
	}
	b.bytes -= b.fetched[id].size
	delete(b.fetched, id)
	return nil
}

// remove removes a blob for the user, who does not want it back.
func (b *blobKeeper) remove(id refs.Blob) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.load(); err != nil {
		return err
	}
	if err := b.files.Remove(id); err != nil {
		return err
	}
	b.bytes -= b.fetched[id].size
	delete(b.fetched, id)
	err := b.node.store.Table(fetchedTable).Update(func(tx *store.TableTx) error {
		return errors.Join(tx.Delete(id[:]), tx.Table(blobOwnTable).Delete(id[:]), tx.Table(blobRefusedTable).Put(id[:], nil))
	})
	return errors.Join(err, b.exchange.Unwant(id))
}
