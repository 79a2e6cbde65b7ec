package stick

import "os"

// Empty returns a folder as the stick it would be if it were made one now. It
// is for an export that only counts; nothing can be written to it.
func Empty(root *os.Root) *Stick { return &Stick{root: root} }
