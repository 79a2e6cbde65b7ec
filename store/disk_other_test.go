//go:build !unix

package store_test

import "testing"

// diskUse is the length of a file, where nothing better is known.
func diskUse(t testing.TB, path string) int64 { return size(t, path) }
