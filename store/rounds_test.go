//go:build !ci

package store_test

// How long the random series are; with the build tag ci they are longer.
const (
	rottenRounds = 60
	killRounds   = 3
	backupSpots  = 150 // at each end of a backup, and between
)
