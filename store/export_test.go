package store

import bolt "go.etcd.io/bbolt"

// ShortenIDs makes the index keep only n bytes of every id, from 0 to 7, so
// that ids collide. It must be called after each Open of the store.
func (s *Store) ShortenIDs(n int) { s.idLen = n }

// ErrInjected is what a failing commit returns.
var ErrInjected = errInjected{}

type errInjected struct{}

func (errInjected) Error() string { return "injected" }

// FailCommits makes commits fail, after they took place if applied is set,
// until the returned function is called.
func (s *Store) FailCommits(applied bool) (restore func()) {
	s.commit = func(tx *bolt.Tx) error {
		if applied {
			if err := tx.Commit(); err != nil {
				return err
			}
		}
		return ErrInjected
	}
	return func() { s.commit = (*bolt.Tx).Commit }
}

// SetFormat changes the version in the file.
func (s *Store) SetFormat(version byte) error {
	return s.update(func(tx *bolt.Tx) (bool, error) {
		return true, tx.Bucket(bucketMeta).Put(keyFormat, []byte{0, 0, 0, version})
	})
}

// Tamper runs fn on the raw database.
func (s *Store) Tamper(fn func(bucket func(name string) *bolt.Bucket) error) error {
	return s.update(func(tx *bolt.Tx) (bool, error) {
		return true, fn(func(name string) *bolt.Bucket { return tx.Bucket([]byte(name)) })
	})
}

// DatabaseLen is the size of the compressed database in a backup.
func DatabaseLen(b *Backup) int64 { return b.database.Size() }

// OnCompactStep calls fn between the steps of Compact, which fails when fn does.
func (s *Store) OnCompactStep(fn func(step string) error) { s.fault = fn }

// Dump calls fn with every row of the database, in order.
func (s *Store) Dump(fn func(path string, key, value []byte)) error {
	return s.view(func(tx *bolt.Tx) error {
		return tx.ForEach(func(name []byte, b *bolt.Bucket) error { return dump(string(name), b, fn) })
	})
}

func dump(path string, b *bolt.Bucket, fn func(path string, key, value []byte)) error {
	return b.ForEach(func(k, v []byte) error {
		if v == nil {
			return dump(path+"/"+string(k), b.Bucket(k), fn)
		}
		fn(path, k, v)
		return nil
	})
}
