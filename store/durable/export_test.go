package durable

import "os"

// Fault makes WriteFile call f before each of its steps.
func (o *Options) Fault(f func(step string, file *os.File) error) { o.fault = f }

// RenameByLink is the fallback of Rename.
var RenameByLink = renameByLink
