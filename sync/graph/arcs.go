package graph

import (
	"cmp"
	"slices"
)

// find returns where the edge to a feed is, or would be.
func find(arcs []arc, to uint32) (int, bool) {
	return slices.BinarySearchFunc(arcs, to, func(a arc, to uint32) int { return cmp.Compare(a.to, to) })
}

func insert(arcs []arc, i int, a arc) []arc { return slices.Insert(arcs, i, a) }
