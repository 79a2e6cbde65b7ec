//go:build !ci

package keys_test

const oneBadAmong = 128 // and 2,048 with the tag ci
