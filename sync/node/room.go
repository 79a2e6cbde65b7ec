package node

import (
	"fmt"
	"path/filepath"

	"github.com/ssbsync/ssbsync/store/durable"
)

// The reserve of the disk that holds the store: what comes in from outside is
// refused rather than use it up, so that the user can still publish and clean
// up. It is a share of the disk, and no more than maxReserve bytes.
const (
	reserveShare = 20
	maxReserve   = 100 << 20
)

// room returns an error when the disk of the store is down to its reserve.
func (n *Node) room() error {
	free, reserve := n.freeSpace()
	if free >= reserve {
		return nil
	}
	return fmt.Errorf("the disk that holds %s has %.1f MiB left, of which %.1f MiB are kept free", n.options.Home, mib(free), mib(reserve))
}

// freeSpace returns how many bytes are free on the disk of the store, and how
// many are kept free. A system that does not tell will say so by ENOSPC.
func (n *Node) freeSpace() (free, reserve uint64) {
	free, total, err := durable.FreeSpace(filepath.Join(n.options.Home, ownDir))
	if err != nil {
		return 0, 0
	}
	return free, min(total/reserveShare, maxReserve)
}

// reserve returns how many bytes of the disk are kept free.
func (n *Node) reserve() uint64 {
	_, reserve := n.freeSpace()
	return reserve
}

func mib(bytes uint64) float64 { return float64(bytes) / (1 << 20) }
