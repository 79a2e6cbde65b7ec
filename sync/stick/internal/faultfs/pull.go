//go:build linux && ci

package faultfs

import (
	"maps"
	"math/rand/v2"
	"slices"
)

// Settle brings everything to the medium, as unmounting does.
func (d *Disk) Settle() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, n := range d.nodes {
		n.sync()
	}
	d.reset()
}

// Crash leaves on the disk what survives when the plug is pulled now: all that
// was synced, and of the rest what chance brought to the medium before.
func (d *Disk) Crash(rng *rand.Rand) {
	d.mu.Lock()
	defer d.mu.Unlock()
	held := d.unique()
	luck := rng.IntN(5) // of a disk: from "nothing was written back" to "all was"
	for _, id := range slices.Sorted(maps.Keys(d.nodes)) {
		d.nodes[id].crash(rng, luck)
	}
	d.overwrite(held)
	d.reset()
}

// overwrite removes what came back to a full disk though others had its room:
// when they took that, the medium knew that it was gone.
func (d *Disk) overwrite(held map[uint64]*inode) {
	for _, id := range slices.Sorted(maps.Keys(d.nodes)) {
		dir := d.nodes[id]
		for _, key := range slices.Sorted(maps.Keys(dir.names)) {
			if d.size == 0 || d.used() <= d.size {
				return
			}
			if n := dir.names[key].node; !n.folder && held[n.id] == nil {
				delete(dir.names, key)
				delete(dir.synced, key)
			}
		}
	}
}

// survives tosses a coin that depends on the luck of the disk.
func survives(rng *rand.Rand, luck int) bool { return rng.IntN(4) < luck }

func (n *inode) crash(rng *rand.Rand, luck int) {
	if !n.folder {
		n.data = n.surviving(rng, luck)
		n.sync()
		return
	}
	for _, key := range slices.Sorted(maps.Keys(n.past)) {
		if !survives(rng, luck) {
			continue
		}
		n.synced[key] = n.past[key][rng.IntN(len(n.past[key]))]
	}
	maps.DeleteFunc(n.synced, func(_ string, e name) bool { return e.node == nil })
	n.names = maps.Clone(n.synced)
	n.sync()
}

// surviving returns what the medium holds of a file: each page that was written
// since the last fsync for itself, and a size between the old one and the new.
func (n *inode) surviving(rng *rand.Rand, luck int) []byte {
	if len(n.dirty) == 0 {
		return n.disk
	}
	size := len(n.disk)
	if survives(rng, luck) {
		size = len(n.data)
		if size > len(n.disk) && rng.IntN(3) == 0 {
			size = len(n.disk) + rng.IntN(size-len(n.disk)+1)
		}
	}
	out := make([]byte, size)
	if rng.IntN(2) == 0 { // blocks that were given to the file, and not filled
		for i := range out {
			out[i] = byte(rng.Uint32())
		}
	}
	copy(out, n.disk)
	for _, p := range slices.Sorted(maps.Keys(n.dirty)) {
		from, to := p*pageLen, min((p+1)*pageLen, len(n.data))
		if from < size && from < to && survives(rng, luck) {
			copy(out[from:], n.data[from:to])
		}
	}
	return out
}
