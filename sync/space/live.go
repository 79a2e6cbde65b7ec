package space

// dormantRounds is how often every store may come by without one of them
// before that one is taken to be gone.
const dormantRounds = 3

// Live reports whether a store still counts as one that comes by: newest is
// the newest visit number that can be believed, visit the one in the have of
// the store, stores how many stores come by, our own included.
//
// A visit number grows only when a have is written, so a store that comes by
// and has nothing to say must say so before it looks gone: see Fading.
func Live(visit, newest uint64, stores int) bool {
	return visit >= newest || newest-visit <= dormantRounds*uint64(max(stores, 1))
}

// Fading reports whether a store should leave a have that says nothing new,
// only because others would soon take it to be gone. After a round of such
// haves nobody is fading: n numbers in a row lie closer together than that.
func Fading(visit, newest uint64, stores int) bool {
	return visit < newest && newest-visit > (dormantRounds-1)*uint64(max(stores, 1))
}

// SpareShare says how much of its capacity a medium keeps free of what only
// dormant stores and strangers lack: an eighth. What is removed for want of
// space is thus not written again as soon as a little is free.
const SpareShare = 8

// Spare is that part of the capacity, in bytes.
func (m *Medium) Spare() int64 { return m.Capacity() / SpareShare }
