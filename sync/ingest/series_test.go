//go:build !ci

package ingest_test

// series is how often the random tests run, in multiples of a short sample.
const series = 1
