// Package bundle reads and writes bundles: signed files of messages and
// blobs that are still ordinary .zst files, so that
//
//	zstd -dc NAME.ssb.zst | jq -c .
//
// shows exactly the messages, to anyone, without this program; with CodecJSONL,
// that is. CodecCompact takes less room and needs package compact to be read.
//
// A bundle is a sequence of Zstandard frames. Only those with messages are
// ordinary frames; everything else hides in skippable frames, which every
// decompressor passes over:
//
//	manifest      skippable  who exported what, the size and hash of each frame, signed
//	range table   skippable  which message frame holds which sequences of which feed
//	messages      ordinary   messages in the codec, such as one a line, one or more
//	blobs         skippable  one blob each
//	manifest      skippable  the same bytes again
//	seek table    skippable  the standard one of the Zstandard seekable format
//
// Nothing is decompressed before the manifest's signature verified and the
// hash of the frame agreed with it. A damaged frame loses only itself.
//
// The package knows frames and signatures, not what a message is: who reads
// the lines of a bundle must verify each of them.
//
// The normative text is spec/bundle.md.
package bundle
