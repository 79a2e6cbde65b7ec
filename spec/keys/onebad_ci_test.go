//go:build ci

package keys_test

const oneBadAmong = 2048
