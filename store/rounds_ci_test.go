//go:build ci

package store_test

// How long the random series are.
const (
	rottenRounds = 5000
	killRounds   = 200
	backupSpots  = 1000 // at each end of a backup, and between
)
