package durable

import (
	"context"
	"os"
)

// Fault makes WriteFile call f before each of its steps.
func (o *Options) Fault(f func(step string, file *os.File) error) { o.fault = f }

// RenameByLink is the fallback of Rename.
var RenameByLink = renameByLink

// Medium is what CheckCapacity fills.
type Medium = medium

// MediumFile is a file on a Medium.
type MediumFile = mediumFile

// CheckCapacityOf is CheckCapacity on a medium of the test, in files of a
// size that it chooses.
func CheckCapacityOf(ctx context.Context, m Medium, fileLen int64, o CapacityOptions) (CapacityReport, error) {
	o.fileLen = fileLen
	return checkCapacity(ctx, m, o)
}
