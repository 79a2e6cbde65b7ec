package blobs

// Fail lets tests fail the steps of writes, or stop there as a kill would.
func (s *Store) Fail(f func(step string) error) { s.fault = f }

// IDOf is idOf.
var IDOf = idOf

// Remember lets tests have fewer additions remembered.
func (s *Store) Remember(n int) { s.added.most = n }
