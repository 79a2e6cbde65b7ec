//go:build ci

package store_test

// How long the random series are.
const (
	rottenRounds = 600
	killRounds   = 200
)
