//go:build !ci

package store_test

// How long the random series are; with the build tag ci they are longer.
const (
	rottenRounds = 150
	killRounds   = 8
)
