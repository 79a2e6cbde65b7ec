package main

import (
	"math"
	"strconv"
	"strings"
)

// parseSize reads a size such as 500M or 1.5GB: bytes, or k, M, G, T in steps
// of 1000, or Ki, Mi, Gi, Ti in steps of 1024.
func parseSize(text string) (int64, error) {
	bare := strings.TrimSuffix(strings.TrimSpace(text), "B")
	step := 1000.0
	if cut, ok := strings.CutSuffix(bare, "i"); ok {
		bare, step = cut, 1024
	}
	factor := 1.0
	if len(bare) > 0 {
		if power := strings.IndexByte("kmgt", bare[len(bare)-1]|0x20); power >= 0 {
			bare, factor = bare[:len(bare)-1], math.Pow(step, float64(power+1))
		}
	}
	n, err := strconv.ParseFloat(bare, 64)
	if err != nil || !(n > 0) || n*factor >= math.MaxInt64 {
		return 0, usageError("%q is not a size: try 500M or 2G", text)
	}
	return int64(n * factor), nil
}
