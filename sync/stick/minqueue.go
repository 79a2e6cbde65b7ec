package stick

import "container/heap"

// minQueue gives out the numbers 0 to n-1, least weight first and then by
// number; weights only fall.
type minQueue struct {
	weight []int
	place  []int // of each number in heap, -1 once given out
	heap   []int
}

func newMinQueue(weight []int) *minQueue {
	q := &minQueue{weight: weight, place: make([]int, len(weight)), heap: make([]int, len(weight))}
	for i := range weight {
		q.place[i], q.heap[i] = i, i
	}
	heap.Init(q)
	return q
}

// pop gives out a number.
func (q *minQueue) pop() int { return heap.Pop(q).(int) }

// lower makes a number one lighter, if it was not given out yet.
func (q *minQueue) lower(i int) {
	q.weight[i]--
	if q.place[i] >= 0 {
		heap.Fix(q, q.place[i])
	}
}

// Len implements heap.Interface.
func (q *minQueue) Len() int { return len(q.heap) }

// Less implements heap.Interface.
func (q *minQueue) Less(a, b int) bool {
	x, y := q.heap[a], q.heap[b]
	return q.weight[x] < q.weight[y] || q.weight[x] == q.weight[y] && x < y
}

// Swap implements heap.Interface.
func (q *minQueue) Swap(a, b int) {
	q.heap[a], q.heap[b] = q.heap[b], q.heap[a]
	q.place[q.heap[a]], q.place[q.heap[b]] = a, b
}

// Push implements heap.Interface; the queue never grows.
func (q *minQueue) Push(any) {}

// Pop implements heap.Interface.
func (q *minQueue) Pop() any {
	last := len(q.heap) - 1
	i := q.heap[last]
	q.heap, q.place[i] = q.heap[:last], -1
	return i
}
