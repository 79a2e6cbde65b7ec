//go:build !ci

package bundle_test

const randomCuts = 40
