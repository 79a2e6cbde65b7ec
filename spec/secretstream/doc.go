// Package secretstream is the encrypted connection of Secure Scuttlebutt: the
// secret handshake (shs1), in which two peers prove their identities to each
// other, and the box stream that carries their bytes afterwards.
//
// Source: the protocol guide, "Handshake" and "Box stream"; where it is silent,
// what npm secret-handshake 1.1 and pull-box-stream 1.0 do.
//
// # Handshake
//
// K is the key of the network, A and B are the identities of client and server,
// a and b ephemeral keys of this handshake; a pair of names is an X25519 shared
// secret, where identities are converted from Ed25519.
//
//	client → server  64 bytes: HMAC_K(a) | a
//	server → client  64 bytes: HMAC_K(b) | b
//	client → server 112 bytes: box[K|ab|aB](H), H = sign_A(K | B | sha256(ab)) | A
//	server → client  80 bytes: box[K|ab|aB|Ab](sign_B(K | H | sha256(ab)))
//
// HMAC is HMAC-SHA-512-256; box[x] is crypto_secretbox with the key sha256(x)
// and a zero nonce. The client must know B beforehand: whoever does not know it
// learns neither A nor B.
//
// # Box stream
//
// Either direction has the key sha256(sha256(sha256(K|ab|aB|Ab)) | receiver)
// and starts with the first 24 bytes of HMAC_K(the receiver's ephemeral key) as
// nonce, which is incremented, big-endian and wrapping, after each box.
//
//	offset  bytes  field
//	0       34     box of: length of the body (2 bytes, big-endian), its 16-byte tag
//	34      length the body's box without its tag, under the next nonce
//
// A header of zeros is the goodbye. It ends the direction: what follows is
// ignored, and a connection that ends without it was cut.
package secretstream
