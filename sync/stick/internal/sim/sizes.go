package sim

// The sizes of bundles, in bytes. They were measured with package bundle on
// 100,000 messages of 1,000 feeds that ssb-fixtures made, in the order in which
// they were received: of 1, 2, 4 … 65,536 of them from the beginning, the middle
// and the end, each piece packed into one bundle. TestSizes does so with the
// small data set, and compares.
const (
	lineSize  = 770  // a message, with its line feed
	fullSize  = 338  // a message in a bundle of all messages
	fixedSize = 485  // manifests, seek table, headers
	frameSize = 96   // entries of a frame in those
	runSize   = 46   // of a run in the range table: mostly the feed id
	frameFull = 1362 // messages in a frame of 1 MiB
)

// stored holds what a message takes in a frame of 1, 2, 4 … messages. Frames
// with little in them compress badly.
var stored = [...]float64{680, 535, 470, 430, 395, 383, 377, 367, 356, 350, 341, 338}

// frameBytes returns the size of a frame with n messages.
func frameBytes(n int64) float64 {
	if n <= 0 {
		return 0
	}
	k, at := 0, int64(1)
	for k+1 < len(stored) && at*2 <= n {
		k, at = k+1, at*2
	}
	per := stored[k]
	if k+1 < len(stored) {
		per += (stored[k+1] - per) * float64(n-at) / float64(at)
	}
	return per * float64(n)
}

// bundleBytes returns the size of a bundle.
func bundleBytes(messages, runs int64) int64 {
	full, rest := messages/frameFull, messages%frameFull
	frames := full
	if rest > 0 {
		frames++
	}
	return fixedSize + frameSize*frames + runSize*runs + int64(float64(full)*frameBytes(frameFull)+frameBytes(rest))
}

// openFrames is how many frames bundle.Writer counts uncompressed besides the
// one it fills. Where room is tight an export lets it settle them: what it then
// still counts too much is what a frame of 8 KiB loses by compression.
const (
	openFrames = 4
	settled    = 4 << 10
)

// bundleBound returns what bundle.Writer.Size says of a bundle that is not
// finished: the last frames count as if they could not be compressed.
func bundleBound(messages, runs int64, tight bool) int64 {
	done := max(0, messages/frameFull-openFrames)
	bound := fixedSize + frameSize*(messages/frameFull+1) + (runSize+8)*runs +
		int64(float64(done)*frameBytes(frameFull)) + (messages-done*frameFull)*(lineSize+4)
	if tight {
		bound = min(bound, bundleBytes(messages, runs)+settled)
	}
	return bound
}

// onceBytes is the compressed size of messages when each is written once.
func onceBytes(messages int64) int64 { return messages * fullSize }
